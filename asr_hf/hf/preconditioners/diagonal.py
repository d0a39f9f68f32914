"""Martens' diagonal preconditioner."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_hf.curvature.statistic import CurvatureStatistics
from asr_hf.curvature.unit_moments import UnitMoments
from asr_hf.hf.memory import ProblemSize
from asr_hf.hf.preconditioners.base import Stateless


class DiagonalPreconditioner(Stateless):
    """M = (diag(E[∇l ∘ ∇l]) + λI)^ξ, an empirical Fisher diagonal (Martens 2010, section 4.7).

    The mean is taken over utterance gradients of the curvature sample, per frame. Weight decay
    counts as damping.

    Args:
        exponent: ξ; 0.75 softens an estimate that is off-scale where gradients nearly vanish.
    """

    def __init__(self, exponent: float = 0.75) -> None:
        self.exponent = exponent
        self._inverse: Tensor | None = None

    def memory(self, size: ProblemSize) -> int:
        """Return the bytes of two diagonals: the new one is made beside the old one."""
        return size.shards(2)

    def prepare(self, damping: float, statistics: CurvatureStatistics) -> None:
        """Estimate the diagonal on the run's curvature sample."""
        moments = statistics.accumulate(UnitMoments(statistics.gradient, statistics.space))
        self._inverse = moments.squares.add(damping + statistics.decay).pow_(-self.exponent)

    def apply(self, residual: Tensor, out: Tensor | None = None) -> Tensor:
        """Return M⁻¹ r [n], in `out` if given."""
        assert self._inverse is not None, "prepare() comes first"
        return torch.mul(residual, self._inverse, out=out)
