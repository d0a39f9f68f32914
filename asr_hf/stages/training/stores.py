"""Opens the frame stores that are trained on and held out."""

from __future__ import annotations

from asr_hf.data.store import FrameStore
from asr_hf.hf.objective import Split
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.expected import store_source
from asr_hf.stages.sources.layout import chosen_by, store_folder


def open_stores(settings: Settings) -> dict[Split, FrameStore]:
    """Open the training and held-out stores of the corpus.

    Args:
        settings: settings of the command.

    Returns:
        The frame store of each part of the data.

    Raises:
        InputError: a store is missing, or the two do not fit each other.
    """
    folders = [
        store_folder(settings, n) for n in (settings.corpus.train_set, settings.corpus.heldout_set)
    ]
    for folder in folders:
        if not folder.is_dir():
            raise InputError(
                f"{folder}: the corpus {settings.corpus.name!r} is not ready for training",
                expected=settings.corpus.needs.strip(),
                remedy=_how_to_make(settings),
            )
        store_source(settings, folder)
    train, heldout = (FrameStore.open(folder) for folder in folders)
    for name, in_train, in_heldout in (
        ("dim", train.dim, heldout.dim),
        ("num_pdfs", train.num_pdfs, heldout.num_pdfs),
    ):
        if in_train != in_heldout:
            raise InputError(
                f"{folders[0].parent}: the training and held-out stores differ in {name}: "
                f"{in_train} and {in_heldout}",
                remedy="make both again with: asr-hf align",
            )
    return {Split.TRAIN: train, Split.HELDOUT: heldout}


def _how_to_make(settings: Settings) -> str:
    verbs = f"asr-hf prepare, features and align with {chosen_by(settings)}"
    if settings.corpus.table is not None:
        return verbs
    return f"make data-{settings.corpus.name}   (or: {verbs})"
