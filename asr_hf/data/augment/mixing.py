"""Scales a background to a signal-to-noise ratio."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_hf.runtime.errors import InputError


def power(samples: NDArray[np.float64]) -> float:
    """Return the mean square of samples [N]."""
    return float(np.mean(np.square(samples)))


def at_snr(
    background: NDArray[np.float64], speech: NDArray[np.float64], snr_db: float
) -> NDArray[np.float64]:
    """Scale a background to a signal-to-noise ratio.

    Both powers are means over the whole utterance, with its pauses.

    Args:
        background: samples of the background [N].
        speech: samples of the speech [N].
        snr_db: ratio of the speech to the background (dB).

    Returns:
        The scaled background [N].

    Raises:
        InputError: the speech or the background is digital silence.
    """
    target_power, present_power = power(speech) / 10 ** (snr_db / 10), power(background)
    if not target_power or not present_power:
        raise InputError(
            f"the {'background' if target_power else 'speech'} is digital silence",
            expected="audio that a signal-to-noise ratio can be had with",
            remedy="leave the recording out",
        )
    scaled: NDArray[np.float64] = background * np.sqrt(target_power / present_power)
    return scaled
