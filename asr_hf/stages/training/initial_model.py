"""Makes the model that training starts from: a new one, or the model of another run."""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import numpy as np
import torch

from asr_hf.criteria.needs import CriterionNeeds, Targets
from asr_hf.data.store import FrameStore
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.layout import decoding_scale, denominator_folder
from asr_hf.stages.training.branch import has_branch, with_branch
from asr_hf.stages.training.declared import criterion_needs
from asr_hf.stages.training.new_output import with_new_output
from asr_hf.stages.training.old_fisher import fisher_strength
from asr_hf.stages.training.stores import pdf_counts
from asr_hf.training.model_file import FILE_NAME, build_model, load_model, model_config
from asr_hf.training.try_out import try_model

log = logging.getLogger(__name__)

_STATISTICS_FRAMES = 200_000


def inherit_settings(settings: Settings) -> Settings:
    """Fill in the settings that follow from the run that training starts from.

    The settings of that run's model replace those of the group `model`. A criterion that needs an
    acoustic scale and is given none gets the scale that the run decodes best with: a model is best
    at the scale that it was trained at, and part of what training at another brings is a change of
    scale.

    Args:
        settings: settings of the command.

    Returns:
        The settings to train with, which the run folder records.

    Raises:
        InputError: there is no such run, or it was not decoded; or no run is named, and the
            criterion or another setting needs one.
    """
    _check_start(settings)
    needs = criterion_needs(settings.criterion)
    settings = _with_denominator(settings, needs)
    needs_scale = needs.acoustic_scale and settings.criterion.get("acoustic_scale") is None
    if settings.init_from is None:
        if needs.starting_model:
            raise InputError(
                f"init_from=null: criterion {settings.criterion.target} starts from a trained "
                "model",
                expected="init_from=<run folder> of cross-entropy training",
                remedy="asr-hf train with criterion=cross_entropy first",
            )
        if needs_scale:
            raise InputError(
                "criterion.acoustic_scale=null: there is no run whose scale it could be",
                expected="a positive number",
                remedy="criterion.acoustic_scale=0.1, or init_from=<run folder>",
            )
        return settings
    run_dir = settings.init_from
    model = model_config(run_dir / FILE_NAME, settings.model.target)
    settings = settings.changed("model", model)
    if needs_scale:
        scale = decoding_scale(run_dir)
        settings = settings.changed("criterion.acoustic_scale", scale)
        log.info("acoustic scale %g: the one that %s decodes best with", scale, run_dir)
    return settings


def _with_denominator(settings: Settings, needs: CriterionNeeds) -> Settings:
    """Fill in the denominator of lattice-free MMI: that of the corpus's alignment.

    Returns:
        The settings with it.

    Raises:
        InputError: the alignment makes none, or priors are asked for.
    """
    key = "denominator"
    if needs.targets is not Targets.NUMERATORS:
        return settings
    if settings.priors != "alignment":
        raise InputError(
            f"priors={settings.priors}: criterion {settings.criterion.target} trains log "
            "likelihoods, which are divided by no priors",
            expected="priors=alignment, which it leaves out",
        )
    if settings.criterion.get(key) is not None:
        return settings
    if settings.alignment.chain is None:
        raise InputError(
            f"alignment.chain=null: criterion {settings.criterion.target} needs graphs of phones",
            expected="the settings that +stage=lfmmi has",
            remedy="asr-hf align and asr-hf train with +stage=lfmmi",
        )
    return settings.changed(f"criterion.{key}", str(denominator_folder(settings)))


def initial_model(settings: Settings, train: FrameStore, device: torch.device) -> AcousticModel:
    """Load the model of `init_from`, or make a new one from the training data.

    Args:
        settings: settings of the command.
        train: training data.
        device: device that the model is moved to.

    Returns:
        The model.

    Raises:
        InputError: the model of `init_from` does not fit the data, or the model's class lacks
            something that training needs.
    """
    if settings.init_from is None:
        model = make_model(settings, train)
    else:
        model = _loaded(settings, settings.init_from, train)
    try_model(
        model,
        train,
        lambda: build_model(
            settings.model.tree, train.dim, train.num_pdfs, settings.runtime.seed + 1
        ),
        str(settings.export.format),
    )
    if criterion_needs(settings.criterion).targets is Targets.NUMERATORS:
        posteriors = copy.deepcopy(model)
        model.drop_priors()
        if has_branch(settings):
            model = with_branch(settings, model, posteriors)
    log.info(
        "%s: %d parameters, %d frames of %d features in, %d pdfs out; %d training frames on %s",
        type(model).__name__,
        model.flat.numel(),
        model.left + 1 + model.right,
        model.feature_dim,
        model.num_pdfs,
        train.num_frames,
        device,
    )
    return model.to(device)


def _check_start(settings: Settings) -> None:
    """Refuse settings that speak of a starting model where there is none.

    Raises:
        InputError: there is a pull or a new output layer, and no run to start from; a pull is
            negative; or pretraining would move what it is towards.
    """
    pull, fisher = settings.trainer.get("pull", 0.0), fisher_strength(settings)
    if not pull >= 0:
        raise InputError(f"trainer.pull={pull}", expected="0 or more")
    strengths = {f"trainer.pull={pull}": pull, f"trainer.pull_fisher={fisher}": fisher}
    pulls = [key for key, strength in strengths.items() if strength]
    asking = [*pulls, "new_output=true"] if settings.new_output else pulls
    if asking and settings.init_from is None:
        raise InputError(
            f"{asking[0]}: there is no model to start from",
            expected="init_from=<run folder>",
            remedy="name the run, or leave this out",
        )
    if pulls and settings.pretraining is not None:
        raise InputError(
            f"{pulls[0]}: pretraining would change the model that it is towards",
            remedy="pretraining=null",
        )


def _loaded(settings: Settings, run_dir: Path, train: FrameStore) -> AcousticModel:
    path = run_dir / FILE_NAME
    model, _ = load_model(path, settings.model.target)
    fits = [("features", model.feature_dim, train.dim), ("pdfs", model.num_pdfs, train.num_pdfs)]
    for what, count, expected in fits[: 1 if settings.new_output else 2]:
        if count != expected:
            raise InputError(
                f"{path}: the model has {count} {what}",
                expected=f"{expected}, as in {train.folder}",
                remedy="start from a run on the same features and alignments"
                + (", or give it a new output layer: new_output=true" if what == "pdfs" else ""),
            )
    return with_new_output(settings, model, path, train) if settings.new_output else model


def make_model(settings: Settings, train: FrameStore) -> AcousticModel:
    """Build the model and give it the training data's input statistics and priors."""
    model = build_model(settings.model.tree, train.dim, train.num_pdfs, settings.runtime.seed)
    model.set_input_statistics(*input_statistics(train, settings.runtime.seed))
    model.set_log_priors(torch.from_numpy(pdf_counts(train)))
    model.start_at_priors()
    return model


def input_statistics(store: FrameStore, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Estimate mean [D] and standard deviation [D] of the frames of a store, from a sample."""
    order = np.random.default_rng([seed, 3]).permutation(store.num_units)
    lengths = np.diff(store.offsets)[order]
    count = int(np.searchsorted(np.cumsum(lengths), _STATISTICS_FRAMES)) + 1
    features = store.gather(np.sort(order[:count]), torch.device("cpu")).features.double()
    return features.mean(0).float(), features.std(0).float()
