"""The protocol between a training problem and the Hessian-free optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from asr_hf.curvature.precision import Precision
from asr_hf.curvature.space import Space
from asr_hf.curvature.statistic import AffineLayer, Statistic, Sums


class Split(StrEnum):
    """Which data a sample is drawn from."""

    TRAIN = "train"
    HELDOUT = "heldout"


@dataclass(frozen=True)
class Sample:
    """Units (utterances) of one part of the data.

    Args:
        part: training or held-out data.
        units: unit numbers [U], int64.
    """

    split: Split
    units: np.ndarray


@dataclass(frozen=True)
class LossSum:
    """A loss summed over frames.

    Args:
        total: sum of the loss over frames (nats), float64.
        num_frames: number of frames summed over.
        errors: frames whose most probable class is not the label.
        per_unit: loss summed over each unit of the sample [U], float64.
    """

    total: float
    num_frames: int
    errors: int
    per_unit: Tensor

    @property
    def mean(self) -> float:
        """Loss per frame (nats)."""
        return self.total / max(1, self.num_frames)

    @property
    def sums(self) -> dict[str, Any]:
        """The three sums by name, without those of units."""
        return {"total": self.total, "num_frames": self.num_frames, "errors": self.errors}


class Curvature(Protocol):
    """A positive semi-definite curvature matrix G(θ), summed over one sample's frames."""

    num_frames: int

    @property
    def precision(self) -> Precision:
        """Of `product`."""
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
        num_parameters: n.
        device: where its tensors are.
        space: where gradients and the vectors of products live; θ is whole everywhere.
        layers: the affine layers of the network.
    """

    num_parameters: int
    device: torch.device
    space: Space
    layers: tuple[AffineLayer, ...]

    def unit_frames(self, split: Split) -> np.ndarray:
        """Frames of each unit of `part` [units], int64."""
        ...

    def loss(self, theta: Tensor, sample: Sample) -> LossSum:
        """Loss summed over `sample` at θ [n]."""
        ...

    def gradient(self, theta: Tensor, sample: Sample) -> tuple[LossSum, Tensor]:
        """Loss and its gradient [n], both summed over `sample`."""
        ...

    def curvature(self, theta: Tensor, sample: Sample) -> Curvature:
        """The Gauss-Newton matrix at θ summed over `sample`, ready for many products."""
        ...

    def accumulate(self, theta: Tensor, sample: Sample, statistic: Statistic[Any]) -> Sums:
        """What `statistic` sums, over all of `sample` at θ [n]."""
        ...
