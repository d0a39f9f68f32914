"""Levenberg-Marquardt damping λ, steered by how well the quadratic model predicted the loss."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from asr_hf.hf.objective import Curvature
from asr_hf.hf.precision import Precision


class DampedOperator:
    """A = G/frames + λI, the matrix of one CG run (Martens 2010, section 4.1).

    Args:
        curvature: the Gauss-Newton matrix of the curvature sample, summed over its frames.
        damping: λ.
    """

    def __init__(self, curvature: Curvature, damping: float) -> None:
        self.damping = damping
        self._curvature = curvature
        self._scale = 1.0 / max(1, curvature.frames)

    @property
    def precision(self) -> Precision:
        """Of `curvature_product`."""
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


@dataclass
class LevenbergMarquardt:
    """λ grows after a failed or over-optimistic step and shrinks after a well-predicted one.

    With the reduction ratio ρ = (L(θ+d) - L(θ)) / q(d): ρ < 1/4 multiplies λ by `increase`,
    ρ > 3/4 by `decrease` (Martens 2010, section 4.1; Kingsbury et al. 2012, algorithm 1).

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

    def update(self, rho: float) -> None:
        """Follow the reduction ratio ρ of an accepted step."""
        if rho < self.low:
            self._scale(self.increase)
        elif rho > self.high:
            self._scale(self.decrease)

    def relax(self) -> None:
        """Shrink λ after a step that did what it should."""
        self._scale(self.decrease)

    def reject(self) -> None:
        """Grow λ after a step that did not lower the loss."""
        self._scale(self.increase)

    def _scale(self, factor: float) -> None:
        self.value = min(self.ceiling, max(self.floor, self.value * factor))
