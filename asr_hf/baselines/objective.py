"""The protocol between a training problem and optimisers other than HF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor

from asr_hf.baselines.parameters import ParameterPlace
from asr_hf.hf.objective import Objective, Sample, Split

MinibatchT = TypeVar("MinibatchT")


class CountingObjective(Objective, Protocol):
    """An objective that counts the frames it has processed.

    Attributes:
        frames_by_pass: number of frames by kind of pass: "gradient", "curvature", "loss".
    """

    frames_by_pass: dict[str, int]


class MinibatchObjective(CountingObjective, Protocol[MinibatchT]):
    """An objective that also hands out minibatches of shuffled frames or utterances.

    Attributes:
        parameters: places of the network's parameters in θ, which they fill.
    """

    parameters: Sequence[ParameterPlace]

    def num_minibatches(self, batch_frames: int) -> int:
        """Return the number of minibatches of an epoch."""
        ...

    def minibatches(self, seed: int, epoch: int, batch_frames: int) -> Iterator[MinibatchT]:
        """Go through every training frame once, in an order fixed by (seed, epoch)."""
        ...

    def minibatch_gradient(self, theta: Tensor, minibatch: MinibatchT) -> tuple[Tensor, Tensor]:
        """Compute the mean loss and its gradient at θ; the host waits for neither.

        Args:
            theta: θ [n].
            minibatch: the frames.

        Returns:
            The loss [] and the gradient [n]; the next call may overwrite both.
        """
        ...


def whole(objective: Objective, split: Split) -> Sample:
    """Return the sample of every unit of `split`."""
    return Sample(split, np.arange(len(objective.unit_frames(split))))


def heldout_loss(objective: Objective, theta: Tensor) -> float:
    """Return the loss per frame at θ [n] over all held-out data."""
    return objective.loss(theta, whole(objective, Split.HELDOUT)).mean
