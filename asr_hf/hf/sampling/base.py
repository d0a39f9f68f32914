"""The protocol of sampling schedules, and the drawing of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from asr_hf.curvature.statistic import CurvatureStatistics
from asr_hf.hf.objective import Sample, Split


@dataclass(frozen=True)
class SampleSizes:
    """Number of frames of the gradient and of the curvature sample."""

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
        """Return the sample sizes of `iteration` (from 0) out of `total_frames`."""
        ...

    def max_curvature(self, total_frames: int) -> int:
        """Return the number of frames of the largest curvature sample that there can be."""
        ...

    def observe(self, statistics: CurvatureStatistics, frames: int) -> None:
        """Learn from the iteration's sample, whose gradient is of `frames` frames."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...


class UnitSampler:
    """Draws units without replacement until the data is used up, then starts a new round.

    The k-th round is a permutation fixed by (seed, k), so a draw depends only on the position.

    Args:
        frame_counts: number of frames of each unit [U].
        seed: seed of every permutation.

    Attributes:
        total: number of frames of all units.
        position: number of units drawn so far, over all rounds.
    """

    def __init__(self, frame_counts: np.ndarray, seed: int) -> None:
        self.frame_counts = np.asarray(frame_counts, dtype=np.int64)
        self.total = int(self.frame_counts.sum())
        self.seed = seed
        self.position = 0
        self._round: tuple[int, np.ndarray] | None = None

    def pair(self, sizes: SampleSizes, salt: int) -> tuple[Sample, Sample]:
        """Draw the next gradient sample and, by (seed, salt), a curvature sample inside it."""
        sample = self.draw(sizes.gradient)
        return sample, self.subset(sample, min(sizes.curvature, sizes.gradient), salt)

    def draw(self, num_frames: int) -> Sample:
        """Draw the next units that hold at least `num_frames` frames, or all where that is more."""
        if num_frames >= self.total:
            return Sample(Split.TRAIN, np.arange(len(self.frame_counts)))
        taken: set[int] = set()
        held = 0
        while held < num_frames and len(taken) < len(self.frame_counts):
            unit = self._at(self.position)
            self.position += 1
            if unit not in taken:
                taken.add(unit)
                held += int(self.frame_counts[unit])
        return Sample(Split.TRAIN, np.array(sorted(taken), dtype=np.int64))

    def _at(self, position: int) -> int:
        number, place = divmod(position, len(self.frame_counts))
        if self._round is None or self._round[0] != number:
            rng = np.random.default_rng([self.seed, 1, number])
            self._round = (number, rng.permutation(len(self.frame_counts)))
        return int(self._round[1][place])

    def subset(self, sample: Sample, num_frames: int, salt: int) -> Sample:
        """Choose units of `sample` with at least `num_frames` frames, by (seed, salt)."""
        order = np.random.default_rng([self.seed, 2, salt]).permutation(sample.units)
        held = np.cumsum(self.frame_counts[order])
        count = int(np.searchsorted(held, num_frames)) + 1
        return Sample(sample.split, np.sort(order[:count]))

    def frames_of(self, sample: Sample) -> int:
        """Return the number of frames of a sample."""
        return int(self.frame_counts[sample.units].sum())
