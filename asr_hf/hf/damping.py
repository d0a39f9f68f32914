"""Levenberg-Marquardt damping λ, steered by how well the quadratic model predicted the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from asr_hf.curvature.precision import Precision
from asr_hf.hf.objective import Curvature
from asr_hf.hf.verdict import Outcome, Verdict


class DampedOperator:
    """A = G/frames + λI, the matrix of one CG run (Martens 2010, section 4.1).

    Args:
        curvature: the Gauss-Newton matrix of the curvature sample, summed over its frames.
        damping: λ.
    """

    def __init__(self, curvature: Curvature, damping: float) -> None:
        self.damping = damping
        self._curvature = curvature
        self._scale = 1.0 / max(1, curvature.num_frames)

    @property
    def precision(self) -> Precision:
        """Precision of `curvature_product`."""
        return self._curvature.precision

    def curvature_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v / frames [n], without the damping, in `out` if given."""
        return self._curvature.product(vector, out).mul_(self._scale)

    def exact_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v / frames [n] in full precision, in `out` if given."""
        return self._curvature.exact_product(vector, out).mul_(self._scale)

    def raise_precision(self) -> None:
        """Compute products in the next higher precision from now on."""
        self._curvature.raise_precision()


class Damping(Protocol):
    """Chooses λ."""

    @property
    def value(self) -> float:
        """λ at the start."""
        ...

    def next(self, damping: float, verdict: Verdict) -> float:
        """Return the next λ, given λ of an iteration and what was decided about its step."""
        ...


@dataclass(frozen=True)
class LevenbergMarquardt:
    """λ grows after a failed or over-optimistic step and shrinks after a well-predicted one.

    With the reduction ratio ρ = (L(θ+d) - L(θ)) / q(d): ρ < 1/4 multiplies λ by `increase`,
    ρ > 3/4 by `decrease` (Martens 2010, section 4.1; Kingsbury et al. 2012, algorithm 1). A step
    that was judged without ρ multiplies it by `decrease` where the loss clearly fell.

    Args:
        value: λ at the start.
        increase: factor after a rejected or badly predicted step.
        decrease: factor after a well-predicted step.
        low: ρ below which λ grows.
        high: ρ above which λ shrinks.
        floor: λ never falls below this.
        ceiling: λ never rises above this.
    """

    value: float = 0.1
    increase: float = 1.5
    decrease: float = 2.0 / 3.0
    low: float = 0.25
    high: float = 0.75
    floor: float = 1e-5
    ceiling: float = 1e4

    def __post_init__(self) -> None:
        if not 0 < self.floor <= self.value <= self.ceiling:
            raise ValueError(
                f"damping: needs 0 < floor <= value <= ceiling, found floor={self.floor}, "
                f"value={self.value}, ceiling={self.ceiling}"
            )
        if not self.decrease <= 1 <= self.increase:
            raise ValueError("damping: needs decrease <= 1 <= increase")

    def next(self, damping: float, verdict: Verdict) -> float:
        """See `Damping`."""
        return min(self.ceiling, max(self.floor, damping * self._factor(verdict)))

    def _factor(self, verdict: Verdict) -> float:
        if verdict.outcome is Outcome.REJECTED:
            return self.increase
        if verdict.outcome is Outcome.BETTER:
            return self.decrease
        if verdict.outcome is Outcome.UNCLEAR or verdict.rho is None:
            return 1.0
        if verdict.rho < self.low:
            return self.increase
        return self.decrease if verdict.rho > self.high else 1.0
