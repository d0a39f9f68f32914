"""Random numbers of frames on any device, the same whatever else is computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from asr_hf.data.split_mix import GOLDEN, mixed, signed


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
        of_frame = mixed(numbers * GOLDEN + self.key)
        return mixed(of_frame + signed((stream + 1) * GOLDEN))


def key_of(*parts: int) -> int:
    """Make a key from numbers of 0 or more; others give other keys."""
    return signed(int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]))
