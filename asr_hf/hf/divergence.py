"""Notices by the losses of gradient samples that steps were too long."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

# Share of the old in the running mean and variance of the losses: some twenty samples.
_DECAY = 0.95
# Samples before the first judgement.
_LEAST = 8
# So many far samples in a row are a divergence. A sample is far that lies so many standard
# deviations, and so large a share of the mean, above the mean.
_ROW, _DEVIATIONS, _SHARE = 3, 6.0, 0.5


@dataclass
class _Seen:
    """The running mean and variance of losses, and those of the time when the mean was least."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0
    least_mean: float = math.inf
    its_variance: float = 0.0
    far: int = 0


class Divergence:
    """Tells a run that diverges from the noise of its samples.

    Along directions with more curvature than the step length allows for, each step is longer than
    the one before, and the loss soon grows tenfold. Three samples in a row are taken for that, if
    their losses lie far above the lowest running mean so far: more than six standard deviations,
    and more than half of that mean. One or two may hold an utterance with a wrong transcript.
    """

    def __init__(self) -> None:
        self._seen = _Seen()

    @property
    def suspected(self) -> bool:
        """Whether the last sample was far."""
        return self._seen.far > 0

    def observe(self, loss: float) -> bool:
        """Learn the mean loss of a sample before its step; return whether the run diverges."""
        seen = self._seen
        far = max(_DEVIATIONS * math.sqrt(seen.its_variance), _SHARE * abs(seen.least_mean))
        if seen.count >= _LEAST and loss - seen.least_mean > far:
            seen.far += 1
            return seen.far >= _ROW
        seen.far, seen.count = 0, seen.count + 1
        # The first samples weigh alike.
        weight, above = max(1 - _DECAY, 1 / seen.count), loss - seen.mean
        seen.mean += weight * above
        seen.variance = (1 - weight) * (seen.variance + weight * above * above)
        if seen.count >= _LEAST and seen.mean < seen.least_mean:
            seen.least_mean, seen.its_variance = seen.mean, seen.variance
        return False

    def settle(self) -> None:
        """Go on after steps were taken back."""
        self._seen.far = 0

    def state_dict(self) -> dict[str, Any]:
        """Return what is known of the losses; None for a mean that is not known."""
        least = self._seen.least_mean
        return {**asdict(self._seen), "least_mean": least if math.isfinite(least) else None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        least = state["least_mean"]
        self._seen = _Seen(**{**state, "least_mean": math.inf if least is None else least})
