"""Alignments of clean recordings, carried over to their copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asr_hf.runtime.errors import InputError

# Frames: rounding, and windows that stick out at the end of one recording but not of the other.
_TOLERANCE = 4


@dataclass(frozen=True)
class FrameGrid:
    """Where frames lie in time.

    Args:
        length: of the window (ms).
        shift: from one frame to the next (ms).
    """

    length: float
    shift: float

    def carry(self, labels: np.ndarray, frames: int, speed: float) -> np.ndarray:
        """Labels of a copy's frames: those of the clean frames at the same point of the speech.

        The middle of the copy's frame j, at t = j·shift + length / 2, was at speed·t in the clean
        recording; the clean frame whose middle is nearest gives the label.

        Args:
            labels: of the clean recording [F].
            frames: how many the copy has.
            speed: the copy's.

        Returns:
            [frames]; at speed 1, with as many frames, the labels themselves.

        Raises:
            InputError: the copy does not last as long as it should.
        """
        if abs(len(labels) - frames * speed) > _TOLERANCE:
            raise InputError(
                f"{frames} frames at {speed:g} times the speed of {len(labels)} aligned ones",
                expected=f"about {len(labels) / speed:.0f}",
                remedy="prepare the corpus again",
            )
        middle = self.length / 2
        clean = (speed * (np.arange(frames) * self.shift + middle) - middle) / self.shift
        nearest = np.floor(clean + 0.5).astype(np.int64)
        carried: np.ndarray = labels[np.clip(nearest, 0, len(labels) - 1)]
        return carried
