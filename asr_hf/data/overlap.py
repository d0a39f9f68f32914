"""What two sets have in common, where they should have nothing: training and held-out data."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.kaldi_dir import DataDir, Utterance

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Overlap:
    """Utterances of a held-out set that are among the training set's.

    Args:
        total: utterances of the held-out set.
        by_name: those whose names the training set has too.
        by_recording: those that are the same stretch of the same recording as one of it.
    """

    total: int
    by_name: frozenset[str] = frozenset()
    by_recording: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        """How many are shared, one way or the other."""
        return len(self.by_name | self.by_recording)

    @property
    def is_all(self) -> bool:
        """Whether nothing is held out."""
        return 0 < self.total == self.count

    def describe(self, train: str, heldout: str) -> str:
        """Return one line, with counts.

        Args:
            train: what the training set is called.
            heldout: what the held-out set is called.
        """
        return (
            f"{self.count} of {self.total} utterances of {heldout} are in {train} too "
            f"({len(self.by_name)} by name, {len(self.by_recording)} by recording and times)"
        )


def overlap(train: DataDir, heldout: DataDir) -> Overlap:
    """Return what the data directory `heldout` shares with `train`."""
    names = {u.id for u in train.utterances}
    stretches = {_stretch(train, u) for u in train.utterances}
    return Overlap(
        len(heldout.utterances),
        frozenset(u.id for u in heldout.utterances if u.id in names),
        frozenset(u.id for u in heldout.utterances if _stretch(heldout, u) in stretches),
    )


def _stretch(data: DataDir, u: Utterance) -> tuple[str, int, float | None, float | None]:
    """Return what is heard: a file or command, a channel, and times (seconds)."""
    return data.wavs[u.recording], u.channel, u.start, u.end


def warn_of_overlap(root: Path, train: str, heldout: Collection[str]) -> None:
    """Warn where a set below `root` shares utterances with its training set."""
    trained = DataDir.read(root / train)
    for name in heldout:
        found = overlap(trained, DataDir.read(root / name))
        if found.count:
            log.warning(
                "%s: error rates would be better than they are", found.describe(train, name)
            )
