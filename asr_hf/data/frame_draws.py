"""Random numbers of frames on any device, the same whatever else is computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class FrameDraws:
    """Gives frames random numbers that follow from a key and the frame's number.

    They are SplitMix64's (Steele, Lea & Flood 2014) at the position that key, frame and stream
    give: no order of calls, no chunk and no share of the data changes them.

    Args:
        key: any number of 64 bits; see `key_of`.
        numbers: number of each frame of a batch [F], int64; None numbers them as they lie there.
    """

    key: int
    numbers: Tensor | None = None

    def at(self, frames: Tensor, stream: int) -> Tensor:
        """Draw a number for each of some frames.

        Args:
            frames: places of the frames in the batch, int64 [...].
            stream: each number gives numbers of its own, from 0.

        Returns:
            Numbers of 64 random bits, int64 [...].
        """
        numbers = frames if self.numbers is None else self.numbers[frames]
        of_frame = _mixed(numbers * _GOLDEN + self.key)
        return _mixed(of_frame + _signed((stream + 1) * _GOLDEN))


def key_of(*parts: int) -> int:
    """Make a key from numbers of 0 or more; others give other keys."""
    return _signed(int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]))


def _signed(number: int) -> int:
    """Return a number modulo 2^64 as int64 has it."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST, _SECOND = _signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB)


def _mixed(bits: Tensor) -> Tensor:
    """Apply SplitMix64's finaliser to words, int64 [...]; products wrap around."""
    bits = (bits ^ _shifted(bits, 30)) * _FIRST
    bits = (bits ^ _shifted(bits, 27)) * _SECOND
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """Shift words to the right, zeros coming in from the left."""
    return torch.bitwise_and(bits >> by, (1 << (64 - by)) - 1)
