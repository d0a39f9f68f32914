"""Samples that grow when a test on the gradient's variance asks for it (Byrd et al. 2012)."""

from __future__ import annotations

from typing import Any

from asr_hf.curvature.statistic import CurvatureStatistics
from asr_hf.curvature.unit_moments import UnitMoments
from asr_hf.hf.sampling.base import GradientSpread, SampleSizes
from asr_hf.hf.sampling.fixed import check_share, share_of


class VarianceSampling:
    """Grow the gradient sample to ‖Var‖₁ / (ϑ²‖g‖²) when ‖Var‖₁ / |S| > ϑ²‖g‖².

    Byrd, Chin, Nocedal & Wu (2012), section 3. The curvature sample is a fixed share of the
    gradient sample, as in their section 4.

    Args:
        gradient: size of the first gradient sample: a share of the training frames, or a number
            of frames above 1.
        theta: largest relative error ϑ of the gradient that is allowed.
        growth_most: bound on the growth of a sample in one iteration.
        curvature: size of the curvature sample as a share of the gradient sample.
        curvature_most: bound on the curvature sample: a share of the training frames or a number.
    """

    def __init__(
        self,
        gradient: float = 0.05,
        theta: float = 0.5,
        growth_most: float = 2.0,
        curvature: float = 0.2,
        curvature_most: float = 0.05,
    ) -> None:
        check_share("sampling.gradient", gradient)
        check_share("sampling.curvature", curvature)
        check_share("sampling.curvature_most", curvature_most)
        if theta <= 0 or growth_most < 1:
            raise ValueError("sampling: needs theta > 0 and growth_most >= 1")
        self.gradient, self.theta, self.growth_most = gradient, theta, growth_most
        self.curvature, self.curvature_most = curvature, curvature_most
        self._size: float | None = None

    def sizes(self, iteration: int, total_frames: int) -> SampleSizes:
        """See `SamplingSchedule.sizes`."""
        start = share_of(self.gradient, total_frames) * total_frames
        gradient = min(float(total_frames), start if self._size is None else self._size)
        curvature = min(self.curvature * gradient, self.max_curvature(total_frames))
        return SampleSizes(max(1, round(gradient)), max(1, round(curvature)))

    def max_curvature(self, total_frames: int) -> int:
        """See `SamplingSchedule`."""
        return round(share_of(self.curvature_most, total_frames) * total_frames)

    def observe(self, statistics: CurvatureStatistics, frames: int) -> None:
        """Measure how much the sample's unit gradients differ, and learn from it."""
        gradient, space = statistics.gradient, statistics.space
        moments = statistics.accumulate(UnitMoments(gradient, space))
        self.learn(GradientSpread(space.dot(gradient, gradient), moments.variance), frames)

    def learn(self, spread: GradientSpread, frames: int) -> None:
        """Apply the test to the last gradient sample."""
        allowed = self.theta**2 * spread.squared_norm
        before = frames if self._size is None else max(self._size, frames)
        self._size = float(before)
        if spread.variance > allowed * frames:
            needed = spread.variance / max(allowed, 1e-300)
            self._size = min(needed, self.growth_most * before)

    def state_dict(self) -> dict[str, Any]:
        """Return the size that the test asked for."""
        return {"wanted": self._size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the size that the test asked for."""
        self._size = state["wanted"]
