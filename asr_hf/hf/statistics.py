"""The statistics of one iteration's curvature sample, each computed when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from torch import Tensor

from asr_hf.curvature.affine import AffineLayer
from asr_hf.curvature.kronecker import KroneckerFactor
from asr_hf.curvature.space import Space
from asr_hf.curvature.statistic import Statistic
from asr_hf.hf.objective import Objective, Sample

ResultT = TypeVar("ResultT")


class SampleStatistics:
    """Computes the statistics that preconditioners and schedules ask for, on a sample at one θ.

    A statistic that two of them ask for costs one pass.

    Args:
        objective: goes through the sample.
        theta: θ [n].
        sample: the curvature sample.
        gradient: mean gradient of the gradient sample [n], divided as vectors of CG are.
        seed: seed of the labels that statistics draw from the model.
        decay: see `CurvatureStatistics`.
        fisher: see `CurvatureStatistics`.
    """

    def __init__(
        self,
        objective: Objective,
        theta: Tensor,
        sample: Sample,
        gradient: Tensor,
        seed: int,
        decay: float = 0.0,
        fisher: Sequence[KroneckerFactor] = (),
    ) -> None:
        self._objective, self._theta, self._sample = objective, theta, sample
        self.gradient, self.seed = gradient, seed
        self.decay, self.fisher = decay, fisher
        self._known: dict[Statistic[Any], Any] = {}

    @property
    def space(self) -> Space:
        """The space of the gradient and of the vectors that statistics sum."""
        return self._objective.space

    @property
    def layers(self) -> tuple[AffineLayer, ...]:
        """The affine layers of the network."""
        return self._objective.layers

    def accumulate(self, statistic: Statistic[ResultT]) -> ResultT:
        """Return a statistic of the sample, computed when it is first asked for."""
        if statistic not in self._known:
            counts = self._objective.unit_frames(self._sample.split)[self._sample.units]
            totals = self._objective.accumulate(self._theta, self._sample, statistic)
            self._known[statistic] = statistic.finish(totals, int(counts.sum()))
        result: ResultT = self._known[statistic]
        return result
