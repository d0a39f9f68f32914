"""The level of a recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.augment.draws import check_range, uniform

FULL_SCALE = 32767.0


@dataclass(frozen=True)
class LevelSettings:
    """The distribution that levels are drawn from.

    Args:
        gain_db: smallest and largest gain (dB).

    Raises:
        InputError: a value is out of its range.
    """

    gain_db: tuple[float, float]

    def __post_init__(self) -> None:
        check_range("level.gain_db", self.gain_db, -60, 60)

    def draw(self, random: np.random.Generator) -> float:
        """Draw a gain and return it (dB)."""
        return uniform(random, self.gain_db, 2)


def set_level(samples: NDArray[np.float64], gain_db: float) -> NDArray[np.int16]:
    """Amplify samples and round them to 16 bits.

    A recording that would exceed full scale is amplified less, as a whole, so that nothing is
    clipped.

    Args:
        samples: samples [N], in the range of 16-bit integers.
        gain_db: gain (dB).

    Returns:
        The amplified samples [N].
    """
    peak = float(np.max(np.abs(samples), initial=0.0))
    gain = 10 ** (gain_db / 20)
    if peak * gain > FULL_SCALE:
        gain = FULL_SCALE / peak
    return np.rint(samples * gain).astype(np.int16)
