"""Babble: other prompts, several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.augment.draws import Ring, check_probability, check_range, happens, uniform
from asr_hf.data.augment.mixing import power
from asr_hf.runtime.errors import InputError

# Seconds: each talker begins somewhere in a recording played round and round.
_LONGEST_START = 60.0


@dataclass(frozen=True)
class Babble:
    """Who talks behind an utterance.

    Args:
        talkers: utterances of the same clean set.
        starts: where each begins (seconds, of its recording played round and round).
        snr_db: how far the speech is above all of them.
    """

    talkers: tuple[str, ...]
    starts: tuple[float, ...]
    snr_db: float


@dataclass(frozen=True)
class BabbleSettings:
    """Chances of babble.

    Args:
        probability: of there being any.
        snr_db: least and most.
        talkers: fewest and most.

    Raises:
        InputError: a value that cannot be.
    """

    probability: float
    snr_db: tuple[float, float]
    talkers: tuple[int, int]

    def __post_init__(self) -> None:
        check_probability("babble.probability", self.probability)
        check_range("babble.snr_db", self.snr_db, -20, 60)
        check_range("babble.talkers", self.talkers, 1, 100)

    def draw(self, random: np.random.Generator, ring: Ring, utterance: str) -> Babble | None:
        """Draw talkers from `ring`, without the utterance itself; None for no babble.

        Raises:
            InputError: there is nobody else.
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
        starts = tuple(uniform(random, (0, _LONGEST_START), 3) for _ in talkers)
        return Babble(tuple(talkers), starts, snr_db)


def babble(
    talkers: Sequence[NDArray[np.float64]], starts: Sequence[float], length: int, sample_rate: int
) -> NDArray[np.float64]:
    """Let talkers, made equally loud, talk at once.

    Args:
        talkers: their recordings [samples], each played round and round.
        starts: where each begins (seconds).
        length: samples wanted.
        sample_rate: Hz.

    Returns:
        [length], at no particular level.
    """
    total = np.zeros(length)
    for samples, start in zip(talkers, starts, strict=True):
        places = (round(start * sample_rate) + np.arange(length)) % len(samples)
        # A recording of digital silence adds nothing.
        total += samples[places] / (np.sqrt(power(samples)) or 1.0)
    return total
