"""The statistics of one iteration's curvature sample, each computed when it is asked for."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import Tensor

from asr_hf.curvature.affine import AffineLayer
from asr_hf.curvature.space import Space
from asr_hf.curvature.statistic import Statistic
from asr_hf.hf.objective import Objective, Sample

ResultT = TypeVar("ResultT")


class SampleStatistics:
    """A sample at one θ, of which preconditioners and schedules ask statistics of their own.

    A statistic that two of them ask for costs one pass.

    Args:
        objective: goes through the sample.
        theta: θ [n].
        sample: the curvature sample.
        gradient: mean gradient of the gradient sample [n], divided as vectors of CG are.
        seed: fixes the labels that statistics draw from the model.
    """

    def __init__(
        self, objective: Objective, theta: Tensor, sample: Sample, gradient: Tensor, seed: int
    ) -> None:
        self._objective, self._theta, self._sample = objective, theta, sample
        self.gradient, self.seed = gradient, seed
        self._known: dict[Statistic[Any], Any] = {}

    @property
    def space(self) -> Space:
        """Where the gradient lives, and the vectors that statistics sum."""
        return self._objective.space

    @property
    def layers(self) -> tuple[AffineLayer, ...]:
        """The affine layers of the network."""
        return self._objective.layers

    def accumulate(self, statistic: Statistic[ResultT]) -> ResultT:
        """Compute a statistic of the sample, or return what it was before."""
        if statistic not in self._known:
            frames = int(self._objective.unit_frames(self._sample.split)[self._sample.units].sum())
            totals = self._objective.accumulate(self._theta, self._sample, statistic)
            self._known[statistic] = statistic.finish(totals, frames)
        result: ResultT = self._known[statistic]
        return result
