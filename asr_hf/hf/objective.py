"""The protocol between a training problem and the Hessian-free optimiser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from asr_hf.hf.precision import Precision


class Part(StrEnum):
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

    part: Part
    units: np.ndarray


@dataclass(frozen=True)
class LossSum:
    """A loss summed over frames.

    Args:
        total: sum of the loss over frames (nats), float64.
        frames: number of frames summed over.
        errors: frames whose most probable class is not the label.
        per_unit: loss summed over each unit of the sample [U], float64.
    """

    total: float
    frames: int
    errors: int
    per_unit: Tensor

    @property
    def mean(self) -> float:
        """Loss per frame (nats)."""
        return self.total / max(1, self.frames)


@dataclass(frozen=True)
class KroneckerFactor:
    """The Fisher block of one affine layer, E[aa'] ⊗ E[gg'] (Martens & Grosse 2015, section 3).

    Args:
        start: where the layer's W [out, in] begins in θ; its b [out] follows.
        inputs: mean over frames of (a, 1)(a, 1)' [in+1, in+1], a the layer's input.
        outputs: mean over frames of gg' [out, out], g the gradient at the layer's output of the
            loss with labels drawn from the model.
    """

    start: int
    inputs: Tensor
    outputs: Tensor


class Curvature(Protocol):
    """A positive semi-definite curvature matrix G(θ), summed over one sample's frames."""

    frames: int
    precision: Precision

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
    """A loss L(θ) that is a sum over units, each with a known number of frames."""

    num_parameters: int
    device: torch.device

    def unit_frames(self, part: Part) -> np.ndarray:
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

    def unit_gradients(self, theta: Tensor, sample: Sample) -> Iterator[tuple[int, Tensor]]:
        """Each unit's frames and its gradient [n], one by one; the tensor is reused."""
        ...

    def kronecker_factors(self, theta: Tensor, sample: Sample, seed: int) -> list[KroneckerFactor]:
        """Fisher blocks of the affine layers at θ; `seed` fixes the labels drawn."""
        ...
