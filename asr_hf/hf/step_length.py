"""The length of a step along the preconditioned gradient, from the quadratic model."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from asr_hf.curvature.space import Space
from asr_hf.hf.solvers.base import Operator


class ModelLength:
    """α = g'u / u'Au: the quadratic model is least at -αu along u = M⁻¹g, A = G + λI.

    On one small sample the quotient is noisy. 1 / α is therefore the running mean of u'Au / g'u:
    each measurement weighs alike, however long its gradient was, and the shortest lengths count
    most.

    Args:
        decay: share of the old in the running mean.
    """

    def __init__(self, decay: float = 0.5) -> None:
        if not 0 <= decay < 1:
            raise ValueError("trainer.length_decay: needs 0 <= length_decay < 1")
        self.decay = decay
        self._inverse = 0.0

    @property
    def value(self) -> float:
        """α; 0 before the first measurement."""
        return 1 / self._inverse if self._inverse > 0 else 0.0

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
            found = curvature / slope
            keep = self.decay if self._inverse > 0 else 0.0
            self._inverse = keep * self._inverse + (1 - keep) * found

    def state_dict(self) -> dict[str, Any]:
        """Return 1 / α."""
        return {"inverse": self._inverse}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore 1 / α."""
        self._inverse = state["inverse"]
