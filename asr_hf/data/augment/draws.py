"""Seeded draws whose outcome depends on nothing but names."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence

import numpy as np

from asr_hf.runtime.errors import InputError


def generator(*names: object) -> np.random.Generator:
    """Return a generator of random numbers that is fixed by `names`."""
    return np.random.default_rng(_hash("\0".join(map(str, names))))


def uniform(random: np.random.Generator, bounds: Sequence[float], digits: int) -> float:
    """Return a number within `bounds`, rounded so that a table can hold all of it."""
    return round(float(random.uniform(bounds[0], bounds[1])), digits)


def happens(random: np.random.Generator, probability: float) -> bool:
    """Return whether something of this probability happens."""
    return bool(random.random() < probability)


def check_range(key: str, bounds: Sequence[float], low: float, high: float) -> None:
    """Check two numbers, the lower one first, within [low, high].

    Raises:
        InputError: they are something else.
    """
    if len(bounds) != 2 or not low <= bounds[0] <= bounds[1] <= high:
        raise InputError(
            f"corpus.augmentation.{key}={list(bounds)} cannot be",
            expected=f"two numbers from {low:g} to {high:g}, the lower one first",
        )


def check_probability(key: str, value: float) -> None:
    """Check a probability.

    Raises:
        InputError: it is outside [0, 1].
    """
    if not 0 <= value <= 1:
        raise InputError(
            f"corpus.augmentation.{key}={value:g} is no probability", expected="0 to 1"
        )


class Ring:
    """Names on a circle, to be drawn from by pointing at it.

    A name more or less in the set changes only the draws that point at its own arc, where indices
    into a list would change all of them (consistent hashing, Karger et al. 1997).

    Args:
        names: what to draw from.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._places = sorted((_hash(name) % (1 << 63), name) for name in names)

    def draw(self, random: np.random.Generator, count: int, without: str) -> list[str]:
        """Draw different names, none of them `without`; fewer than `count` where there are fewer.

        Args:
            random: where to point.
            count: names wanted.
            without: the name that must not be drawn.
        """
        count = min(count, len(self._places) - any(name == without for _, name in self._places))
        found: list[str] = []
        while len(found) < count:
            at = bisect_left(self._places, (int(random.integers(1 << 63)), ""))
            name = self._places[at % len(self._places)][1]
            if name != without and name not in found:
                found.append(name)
        return found


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
