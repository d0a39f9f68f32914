"""Babble: other utterances of the corpus, several at once, behind the speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.augment.draws import Ring, check_probability, check_range, happens, uniform
from asr_hf.data.augment.mixing import power
from asr_hf.runtime.errors import InputError

# Each talker begins at a random place within so many seconds of its looped recording.
_MAX_START = 60.0


@dataclass(frozen=True)
class Babble:
    """The babble behind an utterance.

    Args:
        talkers: names of the utterances that are heard, all of the same clean set.
        starts: place in each one's looped recording where it begins (seconds).
        snr_db: ratio of the speech to all talkers together (dB).
    """

    talkers: tuple[str, ...]
    starts: tuple[float, ...]
    snr_db: float


@dataclass(frozen=True)
class BabbleSettings:
    """The distribution that babble is drawn from.

    Args:
        probability: probability of any babble.
        snr_db: smallest and largest ratio of speech to babble (dB).
        talkers: smallest and largest number of talkers.

    Raises:
        InputError: a value is out of its range.
    """

    probability: float
    snr_db: tuple[float, float]
    talkers: tuple[int, int]

    def __post_init__(self) -> None:
        check_probability("babble.probability", self.probability)
        check_range("babble.snr_db", self.snr_db, -20, 60)
        check_range("babble.talkers", self.talkers, 1, 100)

    def draw(self, random: np.random.Generator, ring: Ring, utterance: str) -> Babble | None:
        """Draw the babble of an utterance.

        Args:
            random: source of random numbers.
            ring: utterances to draw talkers from.
            utterance: name of the utterance, which is not drawn.

        Returns:
            The babble; None for none.

        Raises:
            InputError: there is no other utterance.
        """
        if not happens(random, self.probability):
            return None
        snr_db = uniform(random, self.snr_db, 2)
        count = int(random.integers(self.talkers[0], self.talkers[1], endpoint=True))
        talkers = ring.draw(random, count, without=utterance)
        if not talkers:
            raise InputError(
                f"{utterance}: no other utterance in its set to make babble of",
                remedy="set corpus.augmentation.babble.probability=0",
            )
        starts = tuple(uniform(random, (0, _MAX_START), 3) for _ in talkers)
        return Babble(tuple(talkers), starts, snr_db)


def babble(
    talkers: Sequence[NDArray[np.float64]], starts: Sequence[float], length: int, sample_rate: int
) -> NDArray[np.float64]:
    """Mix the recordings of several talkers, all made equally loud.

    Args:
        talkers: recording of each talker [N], which is played in a loop.
        starts: place where each begins (seconds).
        length: number of samples of the result.
        sample_rate: sample rate (Hz).

    Returns:
        Samples [length], at no particular level.
    """
    total = np.zeros(length)
    for samples, start in zip(talkers, starts, strict=True):
        places = (round(start * sample_rate) + np.arange(length)) % len(samples)
        # A recording of digital silence adds nothing.
        total += samples[places] / (np.sqrt(power(samples)) or 1.0)
    return total
