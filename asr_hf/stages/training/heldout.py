"""Whether what is held out is held out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.overlap import Overlap, overlap
from asr_hf.data.store import FrameStore
from asr_hf.hf.objective import Split
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings

log = logging.getLogger(__name__)


def check_heldout(settings: Settings, stores: Mapping[Split, FrameStore]) -> None:
    """Warn of held-out utterances that are trained on.

    Raises:
        InputError: all of them are, and `overfit` does not say that this is meant.
    """
    train, heldout = settings.corpus.train_set, settings.corpus.heldout_set
    found = _overlap(settings.corpus.dir, train, heldout, stores)
    if not found.count or settings.overfit:
        return
    told = found.describe(f"the training set {train!r}", f"the held-out set {heldout!r}")
    if found.is_all:
        raise InputError(
            f"{settings.corpus.dir}: {told}: nothing is held out",
            expected="a held-out set of other recordings",
            remedy="set corpus.heldout_set to another, or +debug=overfit to see a model learn "
            "its training data by heart",
        )
    log.warning("%s: held-out losses will look better than they are", told)


def _overlap(root: Path, train: str, heldout: str, stores: Mapping[Split, FrameStore]) -> Overlap:
    """What the stores share by name and length, and the data directories by recording."""
    lengths = [
        {name: stores[split].num_frames_of(n) for n, name in enumerate(stores[split].utterances)}
        for split in (Split.TRAIN, Split.HELDOUT)
    ]
    by_name = frozenset(
        name for name, length in lengths[1].items() if lengths[0].get(name) == length
    )
    if not all((root / name / "wav.scp").exists() for name in (train, heldout)):
        return Overlap(len(lengths[1]), by_name)
    shared = overlap(DataDir.read(root / train), DataDir.read(root / heldout))
    return Overlap(len(lengths[1]), by_name, shared.by_recording & lengths[1].keys())
