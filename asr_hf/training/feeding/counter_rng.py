"""Random numbers of frames, the same whatever else is computed."""

from __future__ import annotations

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


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
    start = _mixed(np.array([seed], dtype=np.int64).astype(np.uint64) * _GOLDEN + _GOLDEN)
    counters = 2 * frame_numbers.astype(np.uint64)[:, None] + np.arange(1, 3, dtype=np.uint64)
    bits = _mixed(start + counters * _GOLDEN)
    numbers: np.ndarray = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Apply SplitMix64's finaliser to 64-bit words [...]."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = bits ^ (bits >> np.uint64(31))
    return mixed
