"""The protocol between a training problem and the Hessian-free optimiser."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from asr_hf.curvature.affine import AffineLayer
from asr_hf.curvature.kronecker import KroneckerFactor
from asr_hf.curvature.precision import Precision
from asr_hf.curvature.space import Space
from asr_hf.curvature.statistic import Statistic, Sums


class Split(StrEnum):
    """Training or held-out data, which a sample is drawn from."""

    TRAIN = "train"
    HELDOUT = "heldout"


@dataclass(frozen=True)
class Sample:
    """Units (utterances) of one split of the data.

    Args:
        split: training or held-out data.
        units: numbers of the units [U], int64.
    """

    split: Split
    units: np.ndarray


@dataclass(frozen=True)
class LossSum:
    """A loss summed over frames.

    Args:
        total: sum of the loss over frames (nats), float64.
        num_frames: number of frames summed over.
        errors: number of frames whose most probable class is not the label.
        per_unit: loss summed over each unit of the sample [U], float64.
        penalty: what of it is no loss of data: weight decay, pull, a constraint (nats per frame).
    """

    total: float
    num_frames: int
    errors: int
    per_unit: Tensor
    penalty: float = 0.0

    @property
    def mean(self) -> float:
        """Loss per frame (nats)."""
        return self.total / max(1, self.num_frames)

    @property
    def data_mean(self) -> float:
        """Loss per frame of the data alone (nats)."""
        return self.mean - self.penalty

    def with_penalty(self, penalty: float, frames: np.ndarray) -> LossSum:
        """Return the loss with a penalty on each frame beside it.

        Args:
            penalty: the penalty (nats per frame).
            frames: number of frames of each unit of the sample [U].

        Returns:
            The sum of both.
        """
        counts = torch.from_numpy(frames).to(self.per_unit)
        return LossSum(
            self.total + penalty * self.num_frames,
            self.num_frames,
            self.errors,
            self.per_unit + penalty * counts,
            self.penalty + penalty,
        )

    @property
    def sums(self) -> dict[str, Any]:
        """The three sums by the names that checkpoints have for them."""
        return {"total": self.total, "frames": self.num_frames, "errors": self.errors}

    @classmethod
    def restore(cls, sums: dict[str, Any], per_unit: Tensor) -> LossSum:
        """Make a loss of what `sums` gave, and of its loss by units [U]."""
        return cls(sums["total"], sums["frames"], sums["errors"], per_unit)


class Curvature(Protocol):
    """A positive semi-definite curvature matrix G(θ), summed over one sample's frames.

    Attributes:
        num_frames: number of frames of the sample.
    """

    num_frames: int

    @property
    def precision(self) -> Precision:
        """Precision of `product`."""
        ...

    def product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v [n] for v [n], computed in `precision`, in `out` if given."""
        ...

    def exact_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v [n] in full precision, in `out` if given."""
        ...

    def raise_precision(self) -> None:
        """Compute products in the next higher precision from now on."""
        ...


class Objective(Protocol):
    """A loss L(θ) that is a sum over units, each with a known number of frames.

    Attributes:
        num_parameters: number n of parameters.
        device: device of all tensors.
        space: the space of gradients and of the vectors of products; θ is whole everywhere.
        layers: the affine layers of the network.
        weights: places in θ of what weight decay shrinks: all parameters but vectors, which are
            biases and scales.
        pulled: places in θ of what a pull holds: all parameters, but those of an output layer that
            the starting model does not have.
        old_fisher: the Fisher matrix of the starting model on its own training data, a product of
            each layer that the starting model has; nothing where it is not known.
        statistics: what the loss depends on beside θ, by name; `renew_statistics` changes them.
    """

    num_parameters: int
    device: torch.device
    space: Space
    layers: tuple[AffineLayer, ...]
    weights: tuple[slice, ...]
    pulled: tuple[slice, ...]
    old_fisher: tuple[KroneckerFactor, ...]

    @property
    def statistics(self) -> dict[str, Tensor]:
        """See above."""
        ...

    def unit_frames(self, split: Split) -> np.ndarray:
        """Return the number of frames of each unit of `split` [U], int64."""
        ...

    def begin_iteration(self, iteration: int) -> None:
        """Let dropout draw anew, where the network has it.

        Between two calls the loss of training data is one function of θ. That of held-out data
        drops nothing. An optimiser that never calls this keeps the function of iteration 0.

        Args:
            iteration: number of the iteration, from 0; the draws follow from it.
        """
        ...

    def renew_statistics(
        self, theta: Tensor, sample: Sample, total: Callable[[Tensor], Tensor] | None = None
    ) -> int:
        """Measure `statistics` anew, which are those of batch normalisation.

        Between two calls the loss is one function of θ, a sum over frames. An optimiser that
        compares losses calls this before it measures any of an iteration.

        Args:
            theta: θ [n].
            sample: the sample to measure on.
            total: adds up a tensor over the processes that share the sample; None where there is
                one.

        Returns:
            The number of passes over the sample; 0 where there are no statistics, so that
            the loss stays.
        """
        ...

    def common(self, value: float) -> float:
        """Return the value that the first of the processes has, on all of them."""
        ...

    def statistics_of_samples(self) -> AbstractContextManager[None]:
        """Let gradients normalise by the sample at hand inside the block; `statistics` follow.

        For optimisers that compare no losses. Gradients go through the sample's statistics.
        """
        ...

    def loss(self, theta: Tensor, sample: Sample) -> LossSum:
        """Return the loss summed over `sample` at θ [n]."""
        ...

    def gradient(self, theta: Tensor, sample: Sample) -> tuple[LossSum, Tensor]:
        """Return the loss and its gradient [n], both summed over `sample`."""
        ...

    def curvature(self, theta: Tensor, sample: Sample) -> Curvature:
        """Return the Gauss-Newton matrix at θ [n] summed over `sample`, for many products."""
        ...

    def accumulate(self, theta: Tensor, sample: Sample, statistic: Statistic[Any]) -> Sums:
        """Return what `statistic` sums over all of `sample` at θ [n]."""
        ...
