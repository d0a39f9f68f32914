"""Random draws whose outcome depends only on names."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence

import numpy as np

from asr_hf.runtime.errors import InputError


def generator(*names: object) -> np.random.Generator:
    """Return a generator of random numbers that is seeded by `names`."""
    return np.random.default_rng(_hash("\0".join(map(str, names))))


def uniform(random: np.random.Generator, bounds: Sequence[float], digits: int) -> float:
    """Draw a number within `bounds`, rounded to so many decimal digits."""
    return round(float(random.uniform(bounds[0], bounds[1])), digits)


def happens(random: np.random.Generator, probability: float) -> bool:
    """Draw whether an event of this probability happens."""
    return bool(random.random() < probability)


def check_range(key: str, bounds: Sequence[float], low: float, high: float) -> None:
    """Check that two numbers lie within [low, high], the lower one first.

    Args:
        key: key of the setting below corpus.augmentation, for the message.
        bounds: the two numbers.
        low: smallest number.
        high: largest number.

    Raises:
        InputError: they do not.
    """
    if len(bounds) != 2 or not low <= bounds[0] <= bounds[1] <= high:
        raise InputError(
            f"corpus.augmentation.{key}={list(bounds)} cannot be",
            expected=f"two numbers from {low:g} to {high:g}, the lower one first",
        )


def check_probability(key: str, value: float) -> None:
    """Check a probability.

    Args:
        key: key of the setting below corpus.augmentation, for the message.
        value: the probability.

    Raises:
        InputError: the value is outside [0, 1].
    """
    if not 0 <= value <= 1:
        raise InputError(
            f"corpus.augmentation.{key}={value:g} is no probability", expected="0 to 1"
        )


class Ring:
    """Names on a circle, from which one is drawn by pointing at a random place.

    If a name comes or goes, only draws that point at its arc of the circle change; draws of indices
    into a list would all change (consistent hashing, Karger et al. 1997).

    Args:
        names: names to draw from.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._places = sorted((_hash(name) % (1 << 63), name) for name in names)

    def draw(self, random: np.random.Generator, count: int, without: str) -> list[str]:
        """Draw different names.

        Args:
            random: source of random numbers.
            count: number of names.
            without: name that is not drawn.

        Returns:
            The names; fewer than `count` if there are not so many.
        """
        count = min(count, len(self._places) - any(name == without for _, name in self._places))
        drawn: list[str] = []
        while len(drawn) < count:
            index = bisect_left(self._places, (int(random.integers(1 << 63)), ""))
            name = self._places[index % len(self._places)][1]
            if name != without and name not in drawn:
                drawn.append(name)
        return drawn


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
