"""Band-limiting, as a telephone line does it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.augment.draws import check_probability, check_range, happens
from asr_hf.runtime.errors import InputError

# The order of the Butterworth filter, which is run forwards and backwards.
_ORDER = 4


@dataclass(frozen=True)
class BandSettings:
    """The distribution that frequency bands are drawn from.

    Args:
        probability: probability of a narrower band.
        low_hz: smallest and largest lower edge (Hz).
        high_hz: smallest and largest upper edge (Hz).

    Raises:
        InputError: a value is out of its range.
    """

    probability: float
    low_hz: tuple[int, int]
    high_hz: tuple[int, int]

    def __post_init__(self) -> None:
        check_probability("band.probability", self.probability)
        check_range("band.low_hz", self.low_hz, 1, self.high_hz[0] - 1)
        check_range("band.high_hz", self.high_hz, self.low_hz[1] + 1, 96000)

    def check(self, sample_rate: int) -> None:
        """Check that recordings of a sample rate (Hz) can hold the band.

        Args:
            sample_rate: sample rate of the recordings (Hz).

        Raises:
            InputError: an edge lies beyond half the sample rate.
        """
        if self.probability and self.high_hz[1] >= sample_rate / 2:
            raise InputError(
                f"corpus.augmentation.band.high_hz={list(self.high_hz)} cannot be",
                expected=f"edges below {sample_rate / 2:g} Hz, half the sample rate",
            )

    def draw(self, random: np.random.Generator) -> tuple[int, int] | None:
        """Draw a band and return its lower and upper edge (Hz); None for all frequencies."""
        if not happens(random, self.probability):
            return None
        low, high = (
            int(random.integers(a, b, endpoint=True)) for a, b in (self.low_hz, self.high_hz)
        )
        return low, high


def limit_band(
    samples: NDArray[np.float64], edges: tuple[int, int], sample_rate: int
) -> NDArray[np.float64]:
    """Filter samples [N] to the band between two edges (Hz), without delay.

    Args:
        samples: samples [N].
        edges: lower and upper edge (Hz), where the filter is 6 dB down.
        sample_rate: sample rate (Hz).

    Returns:
        The filtered samples [N].
    """
    # Every command would wait most of a second for it.
    from scipy.signal import butter, sosfiltfilt

    sections = butter(_ORDER, edges, "bandpass", fs=sample_rate, output="sos")
    limited: NDArray[np.float64] = sosfiltfilt(sections, samples, padtype=None)
    return limited
