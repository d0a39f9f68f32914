"""Samples of a fixed size, as in Kingsbury, Sainath & Soltau (2012)."""

from __future__ import annotations

from typing import Any

from asr_hf.hf.sampling.base import GradientSpread, SampleSizes


class FixedSampling:
    """The same share of the data at every iteration.

    Args:
        gradient: share of the training frames for the gradient, in (0, 1].
        curvature: share of the training frames for the curvature, in (0, 1].
    """

    needs_spread = False

    def __init__(self, gradient: float = 1.0, curvature: float = 0.05) -> None:
        check_share("sampling.gradient", gradient)
        check_share("sampling.curvature", curvature)
        self.gradient, self.curvature = gradient, curvature

    def sizes(self, iteration: int, total_frames: int) -> SampleSizes:
        """See `SamplingSchedule.sizes`."""
        return SampleSizes(
            max(1, round(self.gradient * total_frames)),
            max(1, round(self.curvature * total_frames)),
        )

    def most_curvature(self, total_frames: int) -> int:
        """See `SamplingSchedule`."""
        return round(self.curvature * total_frames)

    def learn(self, spread: GradientSpread, frames: int) -> None:
        """Nothing to learn."""

    def state_dict(self) -> dict[str, Any]:
        """No state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """No state."""


def check_share(name: str, value: float) -> None:
    """Refuse a share outside (0, 1]."""
    if not 0 < value <= 1:
        raise ValueError(f"{name}: needs a share of the data in (0, 1], found {value}")
