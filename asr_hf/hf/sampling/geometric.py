"""Samples that grow geometrically (Sainath et al. 2013, section 4; Friedlander & Schmidt 2012)."""

from __future__ import annotations

import math

from asr_hf.hf.sampling.base import SampleSizes
from asr_hf.hf.sampling.fixed import FixedSampling, check_share, share_of


class GeometricSampling(FixedSampling):
    """|S_{k+1}| = min(N, α_g |S_k|) and |R_{k+1}| = min(R_max, α_c |R_k|).

    Sizes are shares of the training frames, or numbers of frames where above 1: how noisy a
    gradient is depends on how many frames it is of, not on how many there are.

    Args:
        gradient: size of the first gradient sample.
        gradient_growth: growth α_g of the gradient sample.
        gradient_most: size at which the gradient sample stops growing.
        curvature: size of the first curvature sample.
        curvature_growth: growth α_c of the curvature sample.
        curvature_most: size at which the curvature sample stops growing.
    """

    def __init__(
        self,
        gradient: float = 0.05,
        gradient_growth: float = 1.25,
        gradient_most: float = 1.0,
        curvature: float = 0.01,
        curvature_growth: float = 1.25,
        curvature_most: float = 0.05,
    ) -> None:
        super().__init__(gradient, curvature)
        check_share("sampling.gradient_most", gradient_most)
        check_share("sampling.curvature_most", curvature_most)
        for name, growth in (("gradient", gradient_growth), ("curvature", curvature_growth)):
            if growth < 1:
                raise ValueError(f"sampling.{name}_growth: needs at least 1, found {growth}")
        self.gradient_growth, self.gradient_most = gradient_growth, gradient_most
        self.curvature_growth, self.curvature_most = curvature_growth, curvature_most

    def sizes(self, iteration: int, total_frames: int) -> SampleSizes:
        """See `SamplingSchedule.sizes`."""
        gradient, gradient_most, curvature, curvature_most = (
            share_of(value, total_frames)
            for value in (self.gradient, self.gradient_most, self.curvature, self.curvature_most)
        )
        gradient = _grown(gradient, self.gradient_growth, gradient_most, iteration)
        curvature = _grown(curvature, self.curvature_growth, curvature_most, iteration)
        return SampleSizes(
            max(1, round(gradient * total_frames)), max(1, round(curvature * total_frames))
        )

    def max_curvature(self, total_frames: int) -> int:
        """See `SamplingSchedule`."""
        return round(share_of(self.curvature_most, total_frames) * total_frames)


def _grown(start: float, growth: float, bound: float, iteration: int) -> float:
    if growth == 1 or start >= bound:
        return min(start, bound)
    # No further than the bound, so that a run of thousands of iterations cannot overflow.
    steps = min(iteration, math.ceil(math.log(bound / start) / math.log(growth)))
    return min(bound, start * growth**steps)
