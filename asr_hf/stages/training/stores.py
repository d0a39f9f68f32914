"""Opens the frame stores that are trained on and held out."""

from __future__ import annotations

import numpy as np

from asr_hf.criteria.needs import Targets
from asr_hf.data.store import FrameStore
from asr_hf.hf.objective import Split
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.expected import store_source
from asr_hf.stages.sources.layout import chosen_by, store_folder
from asr_hf.stages.training.branch import has_branch
from asr_hf.stages.training.declared import criterion_needs


def open_stores(settings: Settings) -> dict[Split, FrameStore]:
    """Open the training and held-out stores of the corpus.

    Args:
        settings: settings of the command.

    Returns:
        The frame store of each part of the data.

    Raises:
        InputError: a store is missing, the two do not fit each other, or the criterion needs labels
            and there are none.
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
    if not (train.labelled and heldout.labelled):
        _check_needs(settings, train)
    return {Split.TRAIN: train, Split.HELDOUT: heldout}


def pdf_counts(train: FrameStore) -> np.ndarray:
    """Return how often each pdf is a label [pdfs]; once, where frames have no labels."""
    return train.label_counts() if train.labelled else np.ones(train.num_pdfs, np.int64)


def _check_needs(settings: Settings, store: FrameStore) -> None:
    """Refuse a criterion that needs labels, for a store that has none.

    Raises:
        InputError: it needs them.
    """
    of_transcripts = criterion_needs(settings.criterion).targets is Targets.NUMERATORS
    if of_transcripts and not has_branch(settings):
        return
    raise InputError(
        f"{store.folder}: frames without labels, and "
        + (
            f"criterion.cross_entropy={settings.criterion.get('cross_entropy')} trains a second "
            "output layer on labels"
            if of_transcripts
            else f"criterion {settings.criterion.target} needs labels"
        ),
        expected="+stage=lfmmi with criterion.cross_entropy=0: alignment=none makes no labels",
        remedy="set that, or align: alignment=monophone",
    )


def _how_to_make(settings: Settings) -> str:
    verbs = f"asr-hf prepare, features and align with {chosen_by(settings)}"
    if settings.corpus.table is not None:
        return verbs
    return f"make data-{settings.corpus.name}   (or: {verbs})"
