"""The length of a step along the preconditioned gradient, from the quadratic model."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from asr_hf.curvature.space import Space
from asr_hf.hf.solvers.base import Operator


class ModelLength:
    """α = Σ g'u / Σ u'Au: the quadratic model is least at -αu along u = M⁻¹g, A = G + λI.

    On one small sample the quotient is noisy; both sums are therefore over the measurements so far,
    old ones fading.

    Args:
        decay: decay of a measurement's weight with each one after it.
    """

    def __init__(self, decay: float = 0.5) -> None:
        if not 0 <= decay < 1:
            raise ValueError("trainer.length_decay: needs 0 <= length_decay < 1")
        self.decay = decay
        self._slope = self._curvature = 0.0

    @property
    def value(self) -> float:
        """α; 0 before the first measurement."""
        return self._slope / self._curvature if self._curvature > 0 else 0.0

    def measure(
        self, operator: Operator, gradient: Tensor, direction: Tensor, space: Space
    ) -> None:
        """Learn from the model along one direction; leave out what is no descent.

        Args:
            operator: A.
            gradient: mean gradient g [n].
            direction: u [n].
            space: the space of the vectors.
        """
        product = operator.curvature_product(direction)
        slope, squared, curvature = space.dots(
            (gradient, direction), (direction, direction), (direction, product)
        )
        curvature += operator.damping * squared
        if slope > 0 and curvature > 0:
            self._slope = self.decay * self._slope + slope
            self._curvature = self.decay * self._curvature + curvature

    def state_dict(self) -> dict[str, Any]:
        """Return the two sums."""
        return {"slope": self._slope, "curvature": self._curvature}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the two sums."""
        self._slope, self._curvature = state["slope"], state["curvature"]
