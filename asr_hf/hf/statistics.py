"""What unit gradients tell: their squares for a diagonal, their spread for the sample size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from asr_hf.hf.objective import KroneckerFactor, Objective, Sample, UnitMoments
from asr_hf.hf.sampling.base import GradientSpread
from asr_hf.hf.vectors import dot, dots


def unit_moments(gradients: Iterable[tuple[int, Tensor]], mean_gradient: Tensor) -> UnitMoments:
    """Go through units one by one.

    Args:
        gradients: each unit's frames f_u and its gradient g_u [n], summed over them.
        mean_gradient: ḡ [n].
    """
    squares = torch.zeros_like(mean_gradient)
    squared_norm = dot(mean_gradient, mean_gradient)
    scatter, total = 0.0, 0
    for frames, gradient in gradients:
        squares.addcmul_(gradient, gradient)
        own, along = dots((gradient, gradient), (gradient, mean_gradient))
        scatter += own - 2 * frames * along + frames**2 * squared_norm
        total += frames
    return UnitMoments(squares, scatter, total)


def unit_statistics(
    objective: Objective, theta: Tensor, sample: Sample, mean_gradient: Tensor
) -> tuple[Tensor, GradientSpread]:
    """How the units of `sample` differ.

    With g_u the gradient of unit u summed over its f_u frames, F = Σ f_u and ḡ the mean gradient
    per frame, a sample of K frames estimates ḡ with total variance v / K,
    v = Σ_u ‖g_u - f_u ḡ‖² / F (the ratio estimator of cluster sampling).

    Args:
        mean_gradient: ḡ [n].

    Returns:
        Σ_u g_u ∘ g_u / F [n], and the spread with ‖ḡ‖² and v.
    """
    found = objective.unit_moments(theta, sample, mean_gradient)
    frames = max(1, found.frames)
    squared_norm = objective.space.dot(mean_gradient, mean_gradient)
    spread = GradientSpread(squared_norm, max(0.0, found.scatter / frames))
    return found.squares.div_(frames), spread


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
        sums = self.objective.kronecker_sums(self.theta, self.sample, self.seed)
        return [layer.mean() for layer in sums]
