"""Layer-wise pretraining of a model over a frame store, before the run proper."""

from __future__ import annotations

import logging
from collections.abc import Callable

from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.pretrain import hidden_layers, pretrain
from asr_hf.training.batch_statistics import measure_at_start
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.loop import Optimiser

log = logging.getLogger(__name__)

# Makes a function that makes an optimiser of an objective and its parameters.
MakeTrainer = Callable[[], Callable[..., Optimiser]]


def pretrain_layers(objective: FrameObjective, make_trainer: MakeTrainer) -> None:
    """Replace the model's hidden layers below the last by pretrained ones, in place.

    The objective counts the work as its own.

    Args:
        objective: the objective, whose model is pretrained.
        make_trainer: returns a constructor of optimisers. It is called with an objective and the
            parameters to start from, once for each depth.

    Raises:
        InputError: the model cannot be grown layer by layer.
    """

    def train(smaller: AcousticModel) -> None:
        smaller_objective = FrameObjective(
            smaller,
            objective.criterion,
            objective.stores,
            objective.chunk_frames,
            sources=objective.sources,
            seed=objective.seed,
        )
        measure_at_start(smaller_objective, smaller.flat.detach().clone(), 0)
        optimiser = make_trainer()(objective=smaller_objective, theta=smaller.flat.detach().clone())
        while not optimiser.finished:
            event = optimiser.step()
            log.info(
                "pretraining %d hidden layers, epoch %d: train %.4f",
                len(hidden_layers(smaller)),
                event["iteration"],
                event["train_loss"],
            )
        smaller.flat.copy_(optimiser.estimate)
        for kind, num_frames in smaller_objective.frames_by_pass.items():
            objective.frames_by_pass[kind] += num_frames

    pretrain(objective.model, train)
