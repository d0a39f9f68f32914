"""Random numbers of frames, the same whatever else is computed."""

from __future__ import annotations

import numpy as np
import torch

from asr_hf.data.split_mix import GOLDEN, mixed, shifted, signed


def frame_uniforms(seed: int, frame_numbers: np.ndarray) -> np.ndarray:
    """Draw two numbers in [0, 1) for each frame, by a counter-based generator.

    SplitMix64 (Steele, Lea & Flood 2014) at the position that seed and frame number give, so
    that no order of calls, no chunk and no share of the data changes a frame's numbers.

    Args:
        seed: any number; equal seeds give equal numbers.
        frame_numbers: number of each frame [F], from 0.

    Returns:
        Numbers [F, 2], float64.
    """
    start = mixed(torch.tensor([signed(seed * GOLDEN + GOLDEN)]))
    frames = torch.from_numpy(frame_numbers.astype(np.int64))
    bits = mixed(start + (2 * frames[:, None] + torch.arange(1, 3)) * GOLDEN)
    # Below 2^53, as float64 has room for.
    numbers: np.ndarray = shifted(bits, 11).numpy() * 2.0**-53
    return numbers
