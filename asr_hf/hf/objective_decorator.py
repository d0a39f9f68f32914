"""What an objective that stands on top of another one passes on to it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from asr_hf.hf.objective import Objective, Split


class ObjectiveDecorator:
    """The part of `Objective` that is the same on top of another objective.

    A derived class adds what it forms in its own way, above all the sums over a sample.

    Args:
        inner: the objective below.
    """

    def __init__(self, inner: Objective) -> None:
        self._inner = inner
        self.num_parameters, self.device = inner.num_parameters, inner.device
        self.space, self.layers = inner.space, inner.layers
        self.weights, self.pulled = inner.weights, inner.pulled
        self.old_fisher = inner.old_fisher

    @property
    def statistics(self) -> dict[str, Tensor]:
        """See `Objective`."""
        return self._inner.statistics

    def unit_frames(self, split: Split) -> np.ndarray:
        """See `Objective`."""
        return self._inner.unit_frames(split)

    def begin_iteration(self, iteration: int) -> None:
        """See `Objective`."""
        self._inner.begin_iteration(iteration)
