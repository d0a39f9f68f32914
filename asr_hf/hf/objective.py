"""The protocol between a training problem and the Hessian-free optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from asr_hf.hf.precision import Precision
from asr_hf.hf.space import Space


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


@dataclass(frozen=True)
class KroneckerSums:
    """What a `KroneckerFactor` is the mean of, summed over a sample.

    Args:
        start: where the layer's W [out, in] begins in θ.
        inputs: sum over the layer's rows of (a, 1)(a, 1)' [in+1, in+1]; its corner counts them.
        outputs: sum over frames of gg' [out, out].
        frames: how many.
    """

    start: int
    inputs: Tensor
    outputs: Tensor
    frames: int

    def mean(self) -> KroneckerFactor:
        """The factors per row and per frame."""
        rows = self.inputs[-1, -1].clamp_min(1)
        return KroneckerFactor(self.start, self.inputs / rows, self.outputs / max(1, self.frames))


@dataclass(frozen=True)
class UnitMoments:
    """Second moments of the unit gradients g_u of a sample, f_u the frames of unit u.

    Args:
        squares: Σ g_u ∘ g_u [n].
        scatter: Σ ‖g_u - f_u ḡ‖² for a given ḡ.
        frames: Σ f_u.
    """

    squares: Tensor
    scatter: float
    frames: int


class Curvature(Protocol):
    """A positive semi-definite curvature matrix G(θ), summed over one sample's frames."""

    frames: int

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
    """

    num_parameters: int
    device: torch.device
    space: Space

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

    def unit_moments(self, theta: Tensor, sample: Sample, mean_gradient: Tensor) -> UnitMoments:
        """Second moments of the gradients of the sample's units, about the mean ḡ [n]."""
        ...

    def kronecker_sums(self, theta: Tensor, sample: Sample, seed: int) -> list[KroneckerSums]:
        """Of the Fisher blocks of the affine layers at θ.

        `seed` fixes the labels drawn: those of a unit do not depend on the rest of the sample.
        """
        ...
