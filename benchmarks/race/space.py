"""The search space of the baselines, and the quasi-random points in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

KINDS = ("log", "linear", "one_minus_log", "choice")
Values = tuple[Any, ...]


@dataclass(frozen=True)
class Dimension:
    """A key that is searched.

    Args:
        key: the key.
        kind: how a number in [0, 1) becomes a value, one of `KINDS`.
        values: both ends of the range, or the choices, for every method; None where methods differ.
        by_method: the same for each method that has the key.
        workloads: names of the workloads that have the key; None for all.
    """

    key: str
    kind: str
    values: Values | None
    by_method: Mapping[str, Values]
    workloads: tuple[str, ...] | None = None

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Dimension:
        """Read an entry of the list `space` in workloads.yaml."""
        (kind,) = (kind for kind in KINDS if kind in entry)
        given, workloads = entry[kind], entry.get("workloads")
        shared = None if isinstance(given, Mapping) else tuple(given)
        each = {m: tuple(v) for m, v in given.items()} if isinstance(given, Mapping) else {}
        return cls(entry["key"], kind, shared, each, tuple(workloads) if workloads else None)

    def has(self, method: str, workload: str) -> bool:
        """Return whether the key is searched for a method on a workload."""
        somewhere = self.values is not None or method in self.by_method
        return somewhere and (self.workloads is None or workload in self.workloads)

    def value(self, method: str, share: float) -> Any:
        """Return the value at `share` in [0, 1) of the range of a method."""
        values = self.by_method[method] if self.values is None else self.values
        if self.kind == "choice":
            return values[min(int(share * len(values)), len(values) - 1)]
        low, high = values
        if self.kind == "linear":
            return low + share * (high - low)
        between = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        return between if self.kind == "log" else 1.0 - between


def points(space: Sequence[Dimension], seed: int, count: int) -> list[list[float]]:
    """Return the first points of a scrambled Sobol sequence, one number in [0, 1) a dimension.

    All methods and workloads share them, whichever dimensions they have.

    Args:
        space: the dimensions.
        seed: seed of the scrambling.
        count: number of points.
    """
    make: Any = torch.quasirandom.SobolEngine
    engine = make(len(space), scramble=True, seed=seed)
    drawn: list[list[float]] = engine.draw(count, dtype=torch.float64).tolist()
    return drawn


def overrides_at(
    space: Sequence[Dimension], point: Sequence[float], method: str, workload: str
) -> list[str]:
    """Return the overrides of a method on a workload at a point."""
    return [
        f"{dimension.key}={written(dimension.value(method, share))}"
        for dimension, share in zip(space, point, strict=True)
        if dimension.has(method, workload)
    ]


def written(value: Any) -> str:
    """Write a value for the command line, numbers with five digits."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)
