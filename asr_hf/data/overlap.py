"""Finds utterances that training and held-out data have in common, where there should be none."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.kaldi_dir import DataDir, Utterance

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Overlap:
    """The utterances of a held-out set that are in the training set too.

    Args:
        total: number of utterances of the held-out set.
        by_name: utterances whose names the training set has too.
        by_recording: utterances whose stretch of a recording the training set has too.
    """

    total: int
    by_name: frozenset[str] = frozenset()
    by_recording: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        """The number of shared utterances, by name or by recording."""
        return len(self.by_name | self.by_recording)

    @property
    def is_all(self) -> bool:
        """Whether all utterances are shared, so that nothing is held out."""
        return 0 < self.total == self.count

    def describe(self, train: str, heldout: str) -> str:
        """Return the counts in one line.

        Args:
            train: name of the training set.
            heldout: name of the held-out set.
        """
        return (
            f"{self.count} of {self.total} utterances of {heldout} are in {train} too "
            f"({len(self.by_name)} by name, {len(self.by_recording)} by recording and times)"
        )


def overlap(train: DataDir, heldout: DataDir) -> Overlap:
    """Return the utterances of the data directory `heldout` that `train` has too."""
    names = {u.id for u in train.utterances}
    stretches = {_stretch(train, u) for u in train.utterances}
    return Overlap(
        len(heldout.utterances),
        frozenset(u.id for u in heldout.utterances if u.id in names),
        frozenset(u.id for u in heldout.utterances if _stretch(heldout, u) in stretches),
    )


def _stretch(data: DataDir, u: Utterance) -> tuple[str, int, float | None, float | None]:
    """Return an utterance's audio: a file or command, a channel, begin and end (seconds)."""
    return data.wavs[u.recording], u.channel, u.start, u.end


def warn_of_overlap(root: Path, train: str, heldout: Collection[str]) -> None:
    """Log a warning for each held-out set that shares utterances with the training set.

    Args:
        root: folder of the sets' data directories.
        train: name of the training set.
        heldout: names of the held-out sets.
    """
    trained = DataDir.read(root / train)
    for name in heldout:
        shared = overlap(trained, DataDir.read(root / name))
        if shared.count:
            log.warning(
                "%s: error rates would be better than they are", shared.describe(train, name)
            )
