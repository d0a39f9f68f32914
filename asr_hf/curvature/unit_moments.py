"""Second moments of unit gradients: a diagonal of the Fisher matrix, and a gradient's variance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from asr_hf.curvature.space import Space
from asr_hf.curvature.statistic import SamplePasses, Sums
from asr_hf.curvature.vectors import dot, dots


@dataclass(frozen=True)
class Moments:
    """Second moments of unit gradients, with f_u the number of frames of unit u and F = Σ f_u.

    A sample of K frames estimates the mean gradient ḡ with total variance `variance` / K (the
    ratio estimator of cluster sampling).

    Args:
        squares: Σ_u g_u ∘ g_u / F [n], g_u the gradient of unit u summed over its frames.
        variance: Σ_u ‖g_u - f_u ḡ‖² / F.
    """

    squares: Tensor
    variance: float


@dataclass(frozen=True)
class UnitMoments:
    """The statistic behind Martens' diagonal and the variance test of a sample's size.

    Args:
        gradient: mean gradient ḡ, as `SampleStatistics` has it.
        space: the space of the gradient.
    """

    gradient: Tensor
    space: Space

    def sums(self, passes: SamplePasses) -> Sums:
        """Go through the units one by one."""
        mean = self.space.whole(self.gradient)
        squares = torch.zeros_like(mean)
        squared_norm, scatter = dot(mean, mean), 0.0
        for num_frames, gradient in passes.unit_gradients():
            squares.addcmul_(gradient, gradient)
            square, along = dots((gradient, gradient), (gradient, mean))
            scatter += square - 2 * num_frames * along + num_frames**2 * squared_norm
        return Sums([squares], [torch.tensor(scatter, dtype=torch.float64)])

    def finish(self, totals: Sums, frames: int) -> Moments:
        """Divide by the frames."""
        (squares,), (scatter,) = totals.vectors, totals.others
        count = max(1, frames)
        return Moments(squares.div_(count), max(0.0, float(scatter) / count))
