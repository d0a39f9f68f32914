"""No preconditioning."""

from __future__ import annotations

from torch import Tensor

from asr_hf.curvature.statistic import CurvatureStatistics
from asr_hf.hf.memory import ProblemSize
from asr_hf.hf.preconditioners.base import Stateless


class IdentityPreconditioner(Stateless):
    """M = I."""

    def memory(self, size: ProblemSize) -> int:
        """Return 0."""
        return 0

    def prepare(self, damping: float, statistics: CurvatureStatistics) -> None:
        """Prepare nothing."""

    def apply(self, residual: Tensor, out: Tensor | None = None) -> Tensor:
        """Return `residual` itself."""
        return residual
