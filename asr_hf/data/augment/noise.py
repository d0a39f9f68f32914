"""Steady noise of several colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.augment.draws import check_probability, check_range, happens, uniform
from asr_hf.runtime.errors import InputError

# The power spectrum falls with this power of the frequency.
COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}
# Below it the spectrum is flat, or most of brown noise would be too low to be heard.
_LOWEST = 100.0


@dataclass(frozen=True)
class Noise:
    """The noise behind an utterance.

    Args:
        colour: white, pink or brown.
        seed: of its samples.
        snr_db: how far the speech is above it.
    """

    colour: str
    seed: int
    snr_db: float


@dataclass(frozen=True)
class NoiseSettings:
    """Chances of noise.

    Args:
        probability: of there being any.
        snr_db: least and most.
        colours: each as likely as the others.

    Raises:
        InputError: a value that cannot be.
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
        """Draw a noise; None for none."""
        if not happens(random, self.probability):
            return None
        snr_db = uniform(random, self.snr_db, 2)
        colour = self.colours[int(random.integers(len(self.colours)))]
        return Noise(colour, int(random.integers(1 << 31)), snr_db)


def noise(drawn: Noise, length: int, sample_rate: int) -> NDArray[np.float64]:
    """Make noise [length] at no particular level; `sample_rate` in Hz."""
    white = np.random.default_rng(drawn.seed).standard_normal(length)
    frequencies = np.maximum(np.fft.rfftfreq(length, 1 / sample_rate), _LOWEST)
    spectrum = np.fft.rfft(white) * frequencies ** (-COLOURS[drawn.colour] / 2)
    coloured: NDArray[np.float64] = np.fft.irfft(spectrum, length)
    return coloured
