"""Carries alignments of clean recordings over to their copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asr_hf.runtime.errors import InputError

# Frames by which lengths may differ, from rounding and from windows that reach beyond the end of
# only one of the two recordings.
_TOLERANCE = 4


@dataclass(frozen=True)
class FrameGrid:
    """The places of frames in time.

    Args:
        length: length of the window (ms).
        shift: shift from one frame to the next (ms).
    """

    length: float
    shift: float

    def carry(self, labels: np.ndarray, num_frames: int, speed: float) -> np.ndarray:
        """Return the labels of a copy's frames, from the clean frames at the same place of speech.

        The middle of the copy's frame j, at t = j·shift + length / 2, was at speed·t in the clean
        recording; the clean frame whose middle is nearest gives the label. At speed 1, and with as
        many frames, these are the clean labels.

        Args:
            labels: labels of the clean recording [F].
            num_frames: number of frames of the copy.
            speed: speed of the copy.

        Raises:
            InputError: the copy's number of frames does not fit its speed.
        """
        if abs(len(labels) - num_frames * speed) > _TOLERANCE:
            raise InputError(
                f"{num_frames} frames at {speed:g} times the speed of {len(labels)} aligned ones",
                expected=f"about {len(labels) / speed:.0f}",
                remedy="prepare the corpus again",
            )
        middle = self.length / 2
        clean = (speed * (np.arange(num_frames) * self.shift + middle) - middle) / self.shift
        nearest = np.floor(clean + 0.5).astype(np.int64)
        carried: np.ndarray = labels[np.clip(nearest, 0, len(labels) - 1)]
        return carried
