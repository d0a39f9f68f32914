"""What first-order optimisers need of a training problem beyond sums over utterances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor

from asr_hf.hf.objective import Objective, Sample, Split

MinibatchT = TypeVar("MinibatchT")


class CountingObjective(Objective, Protocol):
    """An objective that counts the frames it has processed, by kind of pass.

    `frames` has the keys "gradient", "curvature" and "loss".
    """

    frames: dict[str, int]


class MinibatchObjective(CountingObjective, Protocol[MinibatchT]):
    """An objective that also hands out minibatches of shuffled frames or utterances."""

    def num_minibatches(self, batch_frames: int) -> int:
        """Minibatches of one epoch."""
        ...

    def minibatches(self, seed: int, epoch: int, batch_frames: int) -> Iterator[MinibatchT]:
        """One epoch: every training frame once, in an order fixed by (seed, epoch)."""
        ...

    def minibatch_gradient(self, theta: Tensor, minibatch: MinibatchT) -> tuple[Tensor, Tensor]:
        """Mean loss [] and its gradient [n] at θ [n], neither waited for by the host.

        Both may be overwritten by the next call.
        """
        ...


def whole(objective: Objective, split: Split) -> Sample:
    """Every unit of `part`."""
    return Sample(split, np.arange(len(objective.unit_frames(split))))


def heldout_loss(objective: Objective, theta: Tensor) -> float:
    """Loss per frame at θ [n] over all held-out data."""
    return objective.loss(theta, whole(objective, Split.HELDOUT)).mean
