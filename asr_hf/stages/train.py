"""Train an acoustic model: open the data, build the model, run the optimiser, report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_hf.curvature.chunks import CurvaturePath
from asr_hf.data.store import FrameStore
from asr_hf.hf.objective import Split
from asr_hf.models.acoustic import AcousticModel
from asr_hf.report.ending import ending
from asr_hf.report.html import write_report
from asr_hf.runtime.allocator import return_large_blocks
from asr_hf.runtime.checkpoint import checkpoints
from asr_hf.runtime.device import choose_device, seed_everything
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.events import FILE_NAME as EVENTS
from asr_hf.runtime.events import read_events
from asr_hf.runtime.files import read_json, write_json
from asr_hf.runtime.interruption import Interruption
from asr_hf.runtime.process_group import SINGLE_PROCESS, ProcessGroup
from asr_hf.runtime.run_folder import RunFolder
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.external import alignments_from_outside, pack_external
from asr_hf.stages.training.arithmetic import choose_gradients, choose_precision, recorder
from asr_hf.stages.training.declared import optimiser_needs
from asr_hf.stages.training.forecast import fit_memory, say_duration
from asr_hf.stages.training.heldout import check_heldout
from asr_hf.stages.training.initial_model import inherit_settings, initial_model
from asr_hf.stages.training.model_writer import ModelWriter
from asr_hf.stages.training.old_fisher import old_fisher
from asr_hf.stages.training.run_inputs import (
    changed_inputs,
    inputs_of,
    start_of_rank,
    statistics_of,
)
from asr_hf.stages.training.stores import open_stores
from asr_hf.stages.training.targets import open_targets
from asr_hf.training.batch_statistics import measure_at_start
from asr_hf.training.best import Best
from asr_hf.training.constrained_objective import ConstrainedObjective
from asr_hf.training.distributed.data_parallel import DataParallel
from asr_hf.training.distributed.replica_consistency import check_same_start
from asr_hf.training.feeding.frame_source import FrameSource, make_sources, room_for_features
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.loop import TrainingLoop
from asr_hf.training.model_file import FILE_NAME
from asr_hf.training.parameter_places import hidden_slices
from asr_hf.training.planning.memory import parse_bytes
from asr_hf.training.pretraining import pretrain_layers
from asr_hf.training.try_augmentation import try_augmentation
from asr_hf.training.try_out import try_criterion, try_preconditioner
from asr_hf.training.work_counter import CountedObjective

log = logging.getLogger(__name__)


def run(settings: Settings, group: ProcessGroup = SINGLE_PROCESS) -> dict[str, Any]:
    """Train in the run folder; continue a run that was cut off.

    Where alignments were made elsewhere, frame stores that are not current are packed first.

    Args:
        settings: settings of the command.
        group: processes that train together; the first alone writes.

    Returns:
        The content of result.json.

    Raises:
        InputError: data are missing or damaged, or do not fit the configuration.
        Interrupted: a signal has asked the run to end.
    """
    return_large_blocks()
    device = group.device(choose_device(settings.runtime.device, settings.runtime.threads))
    seed_everything(settings.runtime.seed)
    with ExitStack() as resources:
        interruption = resources.enter_context(Interruption())
        group.connect(device, settings.runtime.timeout)
        resources.callback(group.close)
        if alignments_from_outside(settings):
            group.broadcast_json(pack_external(settings) if group.first else None)
        stores = open_stores(settings)
        check_heldout(settings, stores)
        settings = inherit_settings(settings)
        inputs = inputs_of(settings, stores)
        if group.count > 1:
            check_same_start(group, start_of_rank(settings, inputs))
        folder = None
        if group.first:
            folder = resources.enter_context(
                RunFolder.open(settings.run_dir, settings.tree, settings.formulas)
            )
        return _train(settings, stores, inputs, device, folder, group, interruption)


def _train(
    settings: Settings,
    stores: dict[Split, FrameStore],
    inputs: dict[str, str],
    device: torch.device,
    folder: RunFolder | None,
    group: ProcessGroup,
    interruption: Interruption,
) -> dict[str, Any]:
    model = initial_model(settings, stores[Split.TRAIN], device)
    if folder is not None:
        folder.keep_inputs(inputs | statistics_of(model), changed_inputs)
    objective = make_objective(settings, stores, model, device, group.local_count)
    writer = ModelWriter(settings, model, stores[Split.TRAIN])
    start = time.perf_counter()
    begun = group.broadcast_json(folder is not None and bool(checkpoints(folder.checkpoints)))
    if settings.pretraining is not None and not begun:
        pretrain_layers(objective, settings.pretraining.trainer.build)
    shared = share(settings, objective, group)
    if settings.init_from is None and not begun:
        measure_at_start(shared, model.flat.detach().clone(), settings.runtime.seed)
    optimiser = settings.trainer.build()(objective=shared, theta=model.flat.detach().clone())
    try_preconditioner(getattr(optimiser, "preconditioner", None))
    fit_memory(settings, objective, optimiser, group.count)
    say_duration(objective, optimiser, group.count, settings.runtime.look_share)
    loop = TrainingLoop(
        optimiser,
        shared,
        folder,
        keep_last=settings.runtime.keep_checkpoints,
        checkpoint_seconds=settings.runtime.checkpoint_seconds,
        look_share=settings.runtime.look_share,
        seconds=time.perf_counter() - start,
        keep=keep_in(folder.models, writer) if folder and settings.runtime.keep_models else None,
        group=group,
        interruption=interruption,
    )
    best = loop.run()
    result = summary(settings, loop, best)
    if folder is not None:
        writer.save(folder.path / FILE_NAME, best.theta)
        result |= ending(read_events(folder.path / EVENTS), optimiser.limit)
        result |= _scores_of(folder.path / "result.json", best)
        write_json(folder.path / "result.json", result)
        write_report(folder.path)
    return result


def make_objective(
    settings: Settings,
    stores: dict[Split, FrameStore],
    model: AcousticModel,
    device: torch.device,
    sharing: int = 1,
) -> FrameObjective:
    """Make the objective: the criterion over the stores' frames as a function of the parameters.

    Args:
        settings: settings of the command.
        stores: frame store of each part of the data.
        model: model that is trained.
        device: device that the features are brought to.
        sharing: number of processes of the run on this machine.

    Returns:
        The objective of this process.

    Raises:
        InputError: a setting does not fit, or lattices or the Fisher matrix of a pull are missing.
    """
    criterion = settings.criterion.build()
    try_criterion(criterion, model, stores[Split.TRAIN])
    augmentation = None if settings.augment is None else settings.augment.build()
    try_augmentation(augmentation, model, stores[Split.TRAIN])
    make: Callable[..., FrameObjective] = FrameObjective
    if (constraint := model.constraint()) is not None:
        make = partial(ConstrainedObjective, constraint)
    objective = make(
        model,
        criterion,
        stores,
        settings.runtime.chunk_frames,
        CurvaturePath(settings.runtime.curvature_path),
        choose_precision(settings.precision),
        sources=open_sources(settings, stores, device, sharing),
        frame_stride=settings.frame_stride,
        targets=open_targets(settings, stores, model),
        record=recorder(settings, device),
        seed=settings.runtime.seed,
        augmentation=augmentation,
    )
    if settings.new_output:
        objective.pulled = hidden_slices(model)
    objective.old_fisher = old_fisher(settings, model)
    choose_gradients(settings, objective)
    return objective


def share(settings: Settings, objective: FrameObjective, group: ProcessGroup) -> CountedObjective:
    """Make the objective that all processes compute together, starting from the first one's model.

    Args:
        settings: settings of the command.
        objective: objective of this process.
        group: processes that train together.

    Returns:
        The shared objective; `objective` itself where there is one process.

    Raises:
        InputError: the optimiser uses minibatches, which cannot be shared, or `runtime.sharded`
            would divide vectors that it needs whole.
    """
    if group.count == 1:
        return objective
    needs = optimiser_needs(settings.trainer)
    if needs.minibatches:
        raise InputError(
            f"{group.count} processes: trainer {settings.trainer.target} goes by minibatches",
            expected="an optimiser of large samples: trainer=hf or trainer=lbfgs",
            remedy="runtime.processes=1; more runtime.threads make it faster",
        )
    for tensor in objective.model.state_tensors().values():
        group.broadcast_(tensor)
    sharded = bool(settings.runtime.sharded)
    if sharded and needs.whole_vectors:
        raise InputError(
            f"runtime.sharded=true: trainer {settings.trainer.target} needs whole vectors",
            expected="trainer=hf",
            remedy="runtime.sharded=false",
        )
    return DataParallel(objective, group, objective.frames_by_pass, sharded)


def keep_in(folder: Path, writer: ModelWriter) -> Callable[[int, Tensor], None]:
    """Return a function that writes the model of an iteration into `folder`."""
    return lambda iteration, theta: writer.save(
        folder / f"iteration-{iteration:04d}.safetensors", theta
    )


def _scores_of(path: Path, best: Best) -> dict[str, Any]:
    """Return what result.json says of words, if it belongs to the best model of this run."""
    previous = read_json(path) if path.exists() else {}
    same_model = (
        previous.get("heldout_loss") == best.loss
        and previous.get("best_iteration") == best.iteration
    )
    kept = ("wer", "adaptation") if same_model else ()
    return {key: previous[key] for key in kept if key in previous}


def open_sources(
    settings: Settings,
    stores: dict[Split, FrameStore],
    device: torch.device,
    sharing: int,
) -> dict[Split, FrameSource]:
    """Open the frames, on the device as far as `runtime.resident` and `runtime.memory` allow.

    Args:
        settings: settings of the command.
        stores: frame store of each part of the data.
        device: device that the features are brought to.
        sharing: number of processes of the run on this machine.

    Returns:
        The source of frames of each part of the data.

    Raises:
        InputError: one of the two settings is no size of memory.
    """
    resident = settings.runtime.resident
    size = None if resident == "auto" else parse_bytes(resident, "runtime.resident") or 0
    budget = parse_bytes(settings.runtime.memory, "runtime.memory")
    return make_sources(stores, device, room_for_features(device, size, budget, sharing))


def summary(settings: Settings, loop: TrainingLoop, best: Best) -> dict[str, Any]:
    """Return the figures of a finished run, for result.json."""
    return {
        "name": settings.name,
        "optimiser": loop.optimiser.name,
        "heldout_loss": best.loss,
        "heldout_frame_error": best.frame_error,
        "train_loss": best.train_loss,
        "best_iteration": best.iteration,
        "iterations": loop.optimiser.iteration,
        "parameters": loop.objective.num_parameters,
        "work": loop.objective.work,
        "frames": dict(loop.objective.frames_by_pass),
        "seconds": loop.seconds,
    }
