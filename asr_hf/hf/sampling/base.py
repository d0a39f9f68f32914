"""How much data each outer iteration looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from asr_hf.curvature.statistic import CurvatureStatistics
from asr_hf.hf.objective import Sample, Split


@dataclass(frozen=True)
class SampleSizes:
    """Frames wanted for the gradient and for the curvature."""

    gradient: int
    curvature: int


@dataclass(frozen=True)
class GradientSpread:
    """How much unit gradients differ, measured on one sample of units.

    Args:
        squared_norm: ‖g‖² of the mean gradient per frame.
        variance: trace of the variance of one frame's worth of gradient, so that a sample of F
            frames estimates g with the total variance `variance / F`.
    """

    squared_norm: float
    variance: float


class SamplingSchedule(Protocol):
    """Decides the sample sizes of an iteration from what came before."""

    def sizes(self, iteration: int, total_frames: int) -> SampleSizes:
        """Sample sizes of `iteration` (from 0) out of `total_frames`."""
        ...

    def max_curvature(self, total_frames: int) -> int:
        """The largest curvature sample that there can be, in frames."""
        ...

    def observe(self, statistics: CurvatureStatistics, frames: int) -> None:
        """Ask what it needs of the iteration's sample, whose gradient is of `frames` frames."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """JSON-able state."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...


class UnitSampler:
    """Draws units without replacement until the data is used up, then starts a new round.

    The k-th round is a permutation fixed by (seed, k), so a draw depends only on the position.

    Args:
        frames: frames of each unit [U].
        seed: fixes every permutation.
    """

    def __init__(self, frames: np.ndarray, seed: int) -> None:
        self.frames = np.asarray(frames, dtype=np.int64)
        self.total = int(self.frames.sum())
        self.seed = seed
        self.position = 0
        self._round: tuple[int, np.ndarray] | None = None

    def pair(self, sizes: SampleSizes, salt: int) -> tuple[Sample, Sample]:
        """The next gradient sample, and a curvature sample inside it chosen by (seed, salt)."""
        sample = self.draw(sizes.gradient)
        return sample, self.subset(sample, min(sizes.curvature, sizes.gradient), salt)

    def draw(self, wanted: int) -> Sample:
        """The next units that hold at least `wanted` frames; all units when that is everything."""
        if wanted >= self.total:
            return Sample(Split.TRAIN, np.arange(len(self.frames)))
        taken: set[int] = set()
        held = 0
        while held < wanted and len(taken) < len(self.frames):
            unit = self._at(self.position)
            self.position += 1
            if unit not in taken:
                taken.add(unit)
                held += int(self.frames[unit])
        return Sample(Split.TRAIN, np.array(sorted(taken), dtype=np.int64))

    def _at(self, position: int) -> int:
        number, place = divmod(position, len(self.frames))
        if self._round is None or self._round[0] != number:
            order = np.random.default_rng([self.seed, 1, number]).permutation(len(self.frames))
            self._round = (number, order)
        return int(self._round[1][place])

    def subset(self, sample: Sample, wanted: int, salt: int) -> Sample:
        """Units of `sample` that hold at least `wanted` frames, chosen by (seed, salt)."""
        order = np.random.default_rng([self.seed, 2, salt]).permutation(sample.units)
        held = np.cumsum(self.frames[order])
        count = int(np.searchsorted(held, wanted)) + 1
        return Sample(sample.split, np.sort(order[:count]))

    def frames_of(self, sample: Sample) -> int:
        """Frames of a sample."""
        return int(self.frames[sample.units].sum())
