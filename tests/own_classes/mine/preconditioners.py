"""A preconditioner: running mean of the squared gradients."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from asr_hf.curvature.space import UNSHARDED, Space
from asr_hf.curvature.statistic import CurvatureStatistics
from asr_hf.curvature.unit_moments import UnitMoments
from asr_hf.hf.memory import ProblemSize


class RunningDiagonal:
    """M = (running mean of diag(E[∇l ∘ ∇l]) + λI)^exponent.

    Args:
        decay: of the running mean.
        exponent: softens the estimate.
    """

    space: Space = UNSHARDED

    def __init__(self, decay: float = 0.8, exponent: float = 0.75) -> None:
        self.decay, self.exponent = decay, exponent
        self._mean: Tensor | None = None
        self._inverse: Tensor | None = None

    def memory(self, size: ProblemSize) -> int:
        """The mean and the inverse, and one vector while they are made."""
        return size.shards(3)

    def prepare(self, damping: float, statistics: CurvatureStatistics) -> None:
        """Take in the run's curvature sample."""
        moments = UnitMoments(statistics.gradient, statistics.space)
        fresh = statistics.accumulate(moments).squares
        self._mean = fresh if self._mean is None else self._mean.lerp(fresh, 1 - self.decay)
        self._inverse = self._mean.add(damping).pow_(-self.exponent)

    def apply(self, residual: Tensor, out: Tensor | None = None) -> Tensor:
        """M⁻¹ r [n]."""
        assert self._inverse is not None
        if out is None:
            return residual * self._inverse
        return out.copy_(residual).mul_(self._inverse)

    def observe(self, direction: Tensor, product: Tensor) -> None:
        """Learn nothing from CG's steps."""

    def finish(self) -> None:
        """Keep nothing of them."""

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """What the next run depends on: a run that is cut off continues with it."""
        return {"tensors": {} if self._mean is None else {"mean": self._mean}, "values": {}}

    def load_state_dict(self, state: dict[str, dict[str, Any]]) -> None:
        """Restore it."""
        self._mean = state["tensors"].get("mean")
