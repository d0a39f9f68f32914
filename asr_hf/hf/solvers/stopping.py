"""Rules that end a CG run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from asr_hf.hf.solvers.base import StopReason


class StoppingRule(Protocol):
    """Ends a CG run before its bound on steps."""

    reason: ClassVar[StopReason]

    def reached(self, values: Sequence[float]) -> bool:
        """Say whether to stop, given q after each step, starting with q(d0)."""
        ...

    def residual(self, b_norm: float) -> float:
        """Return the relative residual ‖r‖ / ‖b‖ that is small enough; 0 where none is."""
        ...


@dataclass(frozen=True)
class RelativeProgress:
    """Martens' test on the quadratic's value (Martens 2010, section 4.4).

    Stop at iteration i > k when q(d_i) < 0 and (q(d_i) - q(d_{i-k})) / q(d_i) < k ε,
    with k = max(window, window_fraction · i).

    Args:
        tolerance: relative progress ε of a step.
        window: smallest k.
        window_fraction: k as a share of the iterations done.
    """

    reason: ClassVar[StopReason] = StopReason.PROGRESS

    tolerance: float = 5e-4
    window: int = 10
    window_fraction: float = 0.1

    def reached(self, values: Sequence[float]) -> bool:
        """Say whether q's values so far, starting with q(d0), show too little progress."""
        i = len(values) - 1
        k = max(self.window, int(self.window_fraction * i))
        if i <= k or not values[-1] < 0:
            return False
        return (values[-1] - values[-1 - k]) / values[-1] < k * self.tolerance

    def residual(self, b_norm: float) -> float:
        """Return 0: the quadratic's value alone decides."""
        return 0.0


@dataclass(frozen=True)
class FixedSteps:
    """A run of as few steps every time (Martens & Grosse 2015: one, under good factors).

    Args:
        steps: number of steps of a run.
    """

    reason: ClassVar[StopReason] = StopReason.STEPS

    steps: int = 5

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"cg_stopping.steps: needs at least 1, found {self.steps}")

    def reached(self, values: Sequence[float]) -> bool:
        """Say whether the steps are done."""
        return len(values) > self.steps

    def residual(self, b_norm: float) -> float:
        """Return 0: the number of steps alone decides."""
        return 0.0


@dataclass(frozen=True)
class ForcingTerm:
    """Stop at ‖r‖ <= min(most, ‖b‖^power) ‖b‖ (Dembo & Steihaug 1983; Nocedal & Wright 7.1).

    b is the negative gradient: far from the minimum a coarse step will do, near it the steps grow
    exact, which is what makes an inexact Newton method converge faster than linearly.

    Args:
        most: bound on the relative residual.
        power: power of ‖b‖: 0.5 gives superlinear convergence, 1 quadratic.
    """

    reason: ClassVar[StopReason] = StopReason.RESIDUAL

    most: float = 0.5
    power: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.most < 1 or not 0 < self.power <= 1:
            raise ValueError("cg_stopping: needs 0 < most < 1 and 0 < power <= 1")

    def reached(self, values: Sequence[float]) -> bool:
        """Return False: the residual alone decides."""
        return False

    def residual(self, b_norm: float) -> float:
        """Return the forcing term."""
        return min(self.most, math.pow(b_norm, self.power))


def stored_iterations(ratio: float, max_iterations: int) -> frozenset[int]:
    """Return the iterations ⌈ratio^j⌉ at which CG keeps its iterate (Martens 2010)."""
    kept, j = set(), 0
    while (step := _ceil(ratio**j)) <= max_iterations:
        kept.add(step)
        j += 1
    return frozenset(kept)


def _ceil(value: float) -> int:
    return int(-(-value // 1))
