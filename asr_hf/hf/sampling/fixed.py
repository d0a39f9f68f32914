"""Samples of a fixed size, as in Kingsbury, Sainath & Soltau (2012)."""

from __future__ import annotations

from typing import Any

from asr_hf.curvature.statistic import CurvatureStatistics
from asr_hf.hf.sampling.base import SampleSizes


class FixedSampling:
    """Samples that are one share of the data at every iteration.

    Args:
        gradient: share of the training frames for the gradient, or a number of frames above 1.
        curvature: share for the curvature, or a number of frames above 1.
    """

    def __init__(self, gradient: float = 1.0, curvature: float = 0.05) -> None:
        check_share("sampling.gradient", gradient)
        check_share("sampling.curvature", curvature)
        self.gradient, self.curvature = gradient, curvature

    def sizes(self, iteration: int, total_frames: int) -> SampleSizes:
        """See `SamplingSchedule.sizes`."""
        return SampleSizes(
            max(1, round(share_of(self.gradient, total_frames) * total_frames)),
            max(1, round(share_of(self.curvature, total_frames) * total_frames)),
        )

    def max_curvature(self, total_frames: int) -> int:
        """See `SamplingSchedule`."""
        return round(share_of(self.curvature, total_frames) * total_frames)

    def observe(self, statistics: CurvatureStatistics, frames: int) -> None:
        """Ask nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""


def check_share(name: str, value: float) -> None:
    """Refuse a value that is neither a share in (0, 1] nor a whole number of frames."""
    if not (0 < value <= 1 or (value > 1 and value == int(value))):
        raise ValueError(
            f"{name}: needs a share of the data in (0, 1], or a number of frames; found {value}"
        )


def share_of(value: float, total_frames: int) -> float:
    """Return a share, or a number of frames above 1, as a share of `total_frames`."""
    return value if value <= 1 else min(1.0, value / max(1, total_frames))
