"""Adding a background to speech at a signal-to-noise ratio."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_hf.runtime.errors import InputError


def power(samples: NDArray[np.float64]) -> float:
    """Mean square of samples [N]."""
    return float(np.mean(np.square(samples)))


def at_snr(
    background: NDArray[np.float64], speech: NDArray[np.float64], snr_db: float
) -> NDArray[np.float64]:
    """Scale `background` [N] so that `speech` [N] is `snr_db` above it.

    Both powers are means over the whole utterance, its pauses included.

    Raises:
        InputError: either is digital silence.
    """
    wanted, found = power(speech) / 10 ** (snr_db / 10), power(background)
    if not wanted or not found:
        raise InputError(
            f"the {'background' if wanted else 'speech'} is digital silence",
            expected="audio that a signal-to-noise ratio can be had with",
            remedy="leave the recording out",
        )
    scaled: NDArray[np.float64] = background * np.sqrt(wanted / found)
    return scaled
