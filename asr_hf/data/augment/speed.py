"""The speed of a recording, which changes time and pitch together, as on a tape."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from asr_hf.runtime.errors import InputError


@dataclass(frozen=True)
class SpeedSettings:
    """The distribution that speeds are drawn from.

    Args:
        factors: factors, which are equally likely; 1.1 is faster and higher by a tenth. They are
            rounded to hundredths.

    Raises:
        InputError: there is no factor, or one is out of its range.
    """

    factors: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.factors or not all(0.5 <= factor <= 2 for factor in self.factors):
            raise InputError(
                f"corpus.augmentation.speed.factors={list(self.factors)} cannot be",
                expected="one speed or more, from 0.5 to 2",
            )

    def draw(self, random: np.random.Generator) -> float:
        """Draw one of the factors."""
        return float(self.factors[int(random.integers(len(self.factors)))])


def change_speed(samples: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """Change the speed of samples by resampling, without phase shift.

    Args:
        samples: samples [N].
        factor: factor of the speed; the sound at time t moves to t / factor.

    Returns:
        The resampled samples [ceil(N / factor)].
    """
    # Every command would wait most of a second for it.
    from scipy.signal import resample_poly

    ratio = Fraction(factor).limit_denominator(100)
    if ratio == 1:
        return samples
    changed: NDArray[np.float64] = resample_poly(samples, ratio.denominator, ratio.numerator)
    return changed
