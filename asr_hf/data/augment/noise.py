"""Stationary noise of several colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.augment.draws import check_probability, check_range, happens, uniform
from asr_hf.runtime.errors import InputError

# The power spectrum falls with this power of the frequency.
COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}
# Below this frequency (Hz) the spectrum is flat; otherwise most of brown noise could not be heard.
_FLAT_BELOW = 100.0


@dataclass(frozen=True)
class Noise:
    """The noise behind an utterance.

    Args:
        colour: colour of the noise: white, pink or brown.
        seed: seed of the samples.
        snr_db: ratio of the speech to the noise (dB).
    """

    colour: str
    seed: int
    snr_db: float


@dataclass(frozen=True)
class NoiseSettings:
    """The distribution that noises are drawn from.

    Args:
        probability: probability of any noise.
        snr_db: smallest and largest ratio of speech to noise (dB).
        colours: colours, which are equally likely.

    Raises:
        InputError: a value is out of its range.
    """

    probability: float
    snr_db: tuple[float, float]
    colours: tuple[str, ...]

    def __post_init__(self) -> None:
        check_probability("noise.probability", self.probability)
        check_range("noise.snr_db", self.snr_db, -20, 60)
        if not self.colours or set(self.colours) - COLOURS.keys():
            raise InputError(
                f"corpus.augmentation.noise.colours={list(self.colours)} cannot be",
                expected=f"some of {', '.join(COLOURS)}",
            )

    def draw(self, random: np.random.Generator) -> Noise | None:
        """Draw a noise and return it; None for none."""
        if not happens(random, self.probability):
            return None
        snr_db = uniform(random, self.snr_db, 2)
        colour = self.colours[int(random.integers(len(self.colours)))]
        return Noise(colour, int(random.integers(1 << 31)), snr_db)


def noise(drawn: Noise, length: int, sample_rate: int) -> NDArray[np.float64]:
    """Make the samples of a noise.

    Args:
        drawn: the noise.
        length: number of samples.
        sample_rate: sample rate (Hz).

    Returns:
        Samples [length], at no particular level.
    """
    white = np.random.default_rng(drawn.seed).standard_normal(length)
    frequencies = np.maximum(np.fft.rfftfreq(length, 1 / sample_rate), _FLAT_BELOW)
    spectrum = np.fft.rfft(white) * frequencies ** (-COLOURS[drawn.colour] / 2)
    coloured: NDArray[np.float64] = np.fft.irfft(spectrum, length)
    return coloured
