"""Measures the Fisher matrix of the network that is adapted, on its own training set."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from asr_hf.data.store import FrameStore
from asr_hf.runtime import artefact
from asr_hf.runtime.artefact import current_or_make
from asr_hf.runtime.device import choose_device
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.lock import hold_folder
from asr_hf.runtime.provenance import ArtefactSpec, Source
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.expected import features_fit, store_source
from asr_hf.stages.sources.layout import chosen_by, store_folder
from asr_hf.stages.training.old_fisher import NETWORK, fisher_folder, fisher_strength
from asr_hf.training.fisher import check_layers, measure_fisher
from asr_hf.training.fisher_file import FILE_NAME, save_fisher
from asr_hf.training.model_file import FILE_NAME as MODEL
from asr_hf.training.model_file import load_model

log = logging.getLogger(__name__)

_KIND, _STORE = "Fisher matrix", "frame store"


def keep_fisher(settings: Settings, old: Settings) -> None:
    """Measure the Fisher matrix of the old network, unless the run folder has it already.

    Nothing to do without `trainer.pull_fisher`. Another old network, store, number of frames or
    seed makes it anew.

    Args:
        settings: settings of the adapted run.
        old: settings of the run that is adapted.

    Raises:
        InputError: see `can_measure`; or the network uses a layer otherwise than once.
    """
    if not fisher_strength(settings):
        return
    with hold_folder(settings.run_dir, "asr-hf adapt"):
        spec = _spec(settings, old)
        current_or_make(
            fisher_folder(settings), spec, lambda part: _measure(settings, old, part), whole=True
        )


def can_measure(settings: Settings, old: Settings, asked: bool) -> bool:
    """Return whether the Fisher matrix can be measured that the pull takes.

    It cannot where the old training set's frame store is missing, damaged, or has other features
    than the network was trained on, or where the network has no affine layer. The log says so.

    Args:
        settings: settings of the adapted run.
        old: settings of the run that is adapted.
        asked: whether the command itself asks for such a pull.

    Returns:
        Whether it can be measured; true where none is wanted.

    Raises:
        InputError: the command asks for it, and it cannot be measured; or the number of frames is
            none.
    """
    if not fisher_strength(settings):
        return True
    if settings.adapt.fisher_frames < 1:
        raise InputError(
            f"adapt.fisher_frames={settings.adapt.fisher_frames}", expected="1 or more"
        )
    try:
        check_layers(load_model(old.run_dir / MODEL, old.model.target)[0])
        _spec(settings, old)
    except InputError as error:
        if asked:
            raise
        log.warning(
            "trainer.pull_fisher=0: the pull holds all parameters alike, and more of the old "
            "speech is forgotten: %s",
            error,
        )
        return False
    return True


def _spec(settings: Settings, old: Settings) -> ArtefactSpec:
    """Return what the matrix is made from."""
    model = old.run_dir / MODEL
    choices = {
        "adapt.fisher_frames": settings.adapt.fisher_frames,
        "runtime.seed": settings.runtime.seed,
    }
    network = Source.of_file(model)
    return ArtefactSpec(_KIND, choices, {NETWORK: network, _STORE: _store(settings, old, network)})


def _store(settings: Settings, old: Settings, network: Source) -> Source:
    """Return the frames that the old network was trained on.

    Where they are gone, but the matrix of this network was measured on them before, it stays.

    Raises:
        InputError: they are missing, damaged, or not as the network was trained on.
    """
    folder, model = store_folder(old, old.corpus.train_set), old.run_dir / MODEL
    if folder.is_dir():
        source = store_source(old, folder)
        features_fit(source, load_model(model, old.model.target)[1], model)
        return source
    known = artefact.find(fisher_folder(settings))
    if known is not None and known.sources.get(NETWORK) == network and _STORE in known.sources:
        return known.sources[_STORE]
    raise InputError(
        f"{folder}: the frames that {old.run_dir} was trained on are not there",
        expected="its frame store, which tells what adaptation must keep "
        f"(trainer.pull_fisher={fisher_strength(settings)})",
        remedy=f"asr-hf prepare, features and align with {chosen_by(old)} and that run's "
        "overrides; or trainer.pull_fisher=0, which needs no old speech",
    )


def _measure(settings: Settings, old: Settings, part: Path) -> dict[str, Any]:
    device = choose_device(settings.runtime.device, settings.runtime.threads)
    model = load_model(old.run_dir / MODEL, old.model.target)[0].to(device)
    store = FrameStore.open(store_folder(old, old.corpus.train_set))
    wanted, chunk = settings.adapt.fisher_frames, settings.runtime.chunk_frames
    factors, taken = measure_fisher(model, store, wanted, settings.runtime.seed, chunk)
    save_fisher(part / FILE_NAME, factors)
    log.info("Fisher matrix of %s on %d frames of %s", old.run_dir, taken, store.folder)
    return {"frames": taken, "layers": len(factors)}
