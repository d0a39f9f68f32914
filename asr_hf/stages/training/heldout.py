"""Checks that held-out utterances are not trained on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from asr_hf.data.augment.perturb import origin
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.overlap import Overlap, overlap
from asr_hf.data.store import FrameStore
from asr_hf.hf.objective import Split
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings

log = logging.getLogger(__name__)

# Frames by which speed times the length of a copy may differ from the recorded length.
_ROUNDED = 4


def check_heldout(settings: Settings, stores: Mapping[Split, FrameStore]) -> None:
    """Warn of held-out utterances that are trained on.

    Args:
        settings: settings of the command.
        stores: frame store of each part of the data.

    Raises:
        InputError: all held-out utterances are trained on, and `overfit` is not set.
    """
    train, heldout = settings.corpus.train_set, settings.corpus.heldout_set
    shared = _overlap(settings.corpus.dir, train, heldout, stores)
    if not shared.count or settings.overfit:
        return
    description = shared.describe(f"the training set {train!r}", f"the held-out set {heldout!r}")
    if shared.is_all:
        raise InputError(
            f"{settings.corpus.dir}: {description}: nothing is held out",
            expected="a held-out set of other recordings",
            remedy="set corpus.heldout_set to another, or +debug=overfit to see a model learn "
            "its training data by heart",
        )
    log.warning("%s: held-out losses will look better than they are", description)


def _overlap(root: Path, train: str, heldout: str, stores: Mapping[Split, FrameStore]) -> Overlap:
    """Find held-out utterances in the training set, or copies of them at other speeds.

    Returns:
        What is shared by name and length, and by recording.
    """
    lengths = [
        {name: stores[split].num_frames_of(n) for n, name in enumerate(stores[split].utterances)}
        for split in (Split.TRAIN, Split.HELDOUT)
    ]
    by_name = {name for name, length in lengths[1].items() if lengths[0].get(name) == length}
    for copy, length in lengths[0].items():
        name, speed = origin(copy)
        if name == copy or name not in lengths[1]:
            continue
        if abs(lengths[1][name] - speed * length) < _ROUNDED:
            by_name.add(name)
    if not all((root / name / "wav.scp").exists() for name in (train, heldout)):
        return Overlap(len(lengths[1]), frozenset(by_name))
    shared = overlap(DataDir.read(root / train), DataDir.read(root / heldout))
    return Overlap(len(lengths[1]), frozenset(by_name), shared.by_recording & lengths[1].keys())
