"""The length of a step along the preconditioned gradient, from the quadratic model."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from asr_hf.curvature.space import Space
from asr_hf.hf.solvers.base import Operator

# What a run that diverged bounds α by, as a share of it; and how fast the bound rises from look to
# look.
_SHORTENED, _RISING = 0.5, 1.1


class ModelLength:
    """α = g'u / u'Au: the quadratic model is least at -αu along u = M⁻¹g, A = G + λI.

    On one small sample the quotient is noisy. 1 / α is therefore the running mean of u'Au / g'u:
    each measurement weighs alike, however long its gradient was, and the shortest lengths count
    most. One direction does not see all the curvature that there is: if a run diverges, α is
    bounded by half of what it was, and the bound rises by a tenth a measurement.

    Args:
        decay: share of the old in the running mean.
    """

    def __init__(self, decay: float = 0.5) -> None:
        if not 0 <= decay < 1:
            raise ValueError("trainer.length_decay: needs 0 <= length_decay < 1")
        self.decay = decay
        self._inverse, self._most = 0.0, math.inf

    @property
    def value(self) -> float:
        """α; 0 before the first measurement."""
        return min(1 / self._inverse, self._most) if self._inverse > 0 else 0.0

    def shorten(self) -> None:
        """Bound α after a divergence."""
        self._most = _SHORTENED * self.value

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
        self._most *= _RISING
        if slope > 0 and curvature > 0:
            found = curvature / slope
            keep = self.decay if self._inverse > 0 else 0.0
            self._inverse = keep * self._inverse + (1 - keep) * found

    def state_dict(self) -> dict[str, Any]:
        """Return 1 / α, and what bounds α; None for nothing."""
        most = self._most if math.isfinite(self._most) else None
        return {"inverse": self._inverse, "most": most}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._inverse = state["inverse"]
        self._most = math.inf if state["most"] is None else state["most"]
