"""What unit gradients tell: their squares for a diagonal, their spread for the sample size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from asr_hf.hf.objective import KroneckerFactor, Objective, Sample
from asr_hf.hf.sampling.base import GradientSpread
from asr_hf.hf.vectors import dot


def unit_statistics(
    objective: Objective, theta: Tensor, sample: Sample, mean_gradient: Tensor
) -> tuple[Tensor, GradientSpread]:
    """Go through the units of `sample` one by one.

    With g_u the gradient of unit u summed over its f_u frames, F = Σ f_u and ḡ the mean gradient
    per frame, a sample of K frames estimates ḡ with total variance v / K,
    v = Σ_u ‖g_u - f_u ḡ‖² / F (the ratio estimator of cluster sampling).

    Args:
        mean_gradient: ḡ [n].

    Returns:
        Σ_u g_u ∘ g_u / F [n], and the spread with ‖ḡ‖² and v.
    """
    squares = torch.zeros_like(mean_gradient)
    squared_norm = dot(mean_gradient, mean_gradient)
    scatter, total = 0.0, 0
    for frames, gradient in objective.unit_gradients(theta, sample):
        squares.addcmul_(gradient, gradient)
        scatter += (
            dot(gradient, gradient)
            - 2 * frames * dot(gradient, mean_gradient)
            + frames**2 * squared_norm
        )
        total += frames
    squares.div_(max(1, total))
    return squares, GradientSpread(squared_norm, max(0.0, scatter / max(1, total)))


@dataclass(frozen=True)
class SampleStatistics:
    """Statistics of one iteration's curvature sample, computed when a preconditioner asks.

    Args:
        objective: whose gradients they are.
        theta: where [n].
        sample: the curvature sample.
        mean_gradient: of the gradient sample [n].
        seed: fixes the labels drawn from the model.
    """

    objective: Objective
    theta: Tensor
    sample: Sample
    mean_gradient: Tensor
    seed: int

    def squared_gradients(self) -> Tensor:
        """Sum of the unit gradients' squares, over the sample's frames [n]."""
        return self._by_unit[0]

    @property
    def spread(self) -> GradientSpread:
        """How much unit gradients differ."""
        return self._by_unit[1]

    @cached_property
    def _by_unit(self) -> tuple[Tensor, GradientSpread]:
        # One pass serves both the variance test and a diagonal preconditioner.
        return unit_statistics(self.objective, self.theta, self.sample, self.mean_gradient)

    def kronecker_factors(self) -> list[KroneckerFactor]:
        """Fisher blocks of the affine layers."""
        return self.objective.kronecker_factors(self.theta, self.sample, self.seed)
