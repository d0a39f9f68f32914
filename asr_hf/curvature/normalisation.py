"""Normalisation of a hidden layer's outputs, and its derivative for products by hand.

The derivatives at one point, diag(s) and r (C - n n' / U), are symmetric: the R-operator's forward
pass and its backward pass multiply by one matrix.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

import torch
from torch import Tensor


class Normalisation(StrEnum):
    """What is normalised after the activation of a hidden layer, without learnt scale or shift.

    RMS divides the U units of a frame by their root mean square, LAYER takes their mean out first,
    and BATCH gives each unit zero mean and unit variance over frames.
    """

    NONE = "none"
    RMS = "rms"
    LAYER = "layer"
    BATCH = "batch"


# What is added to mean squares of units. That of RMS is the floor of nnet3's NormalizeComponent,
# so that exported networks compute the same; constant rows less their mean are rounding, which a
# floor as low as that would blow up.
RMS_EPSILON = 2.0**-66
EPSILON = 1e-5


class NormalisedRows(Protocol):
    """The normalised outputs of a layer, and the derivative there.

    Attributes:
        rows: normalised outputs [F, U].
    """

    rows: Tensor

    def times_jacobian(self, value: Tensor) -> None:
        """Multiply `value` [F, U] by the derivative, in place."""
        ...


class ScaledRows:
    """Rows (a - mean) * scale, both fixed: the derivative is diag(scale).

    Args:
        outputs: outputs a of the layer [F, U].
        mean: mean of each unit [U].
        scale: factor of each unit [U].
    """

    def __init__(self, outputs: Tensor, mean: Tensor, scale: Tensor) -> None:
        self._scale = scale.to(outputs.dtype)
        self.rows = ((outputs - mean) * scale).to(outputs.dtype)

    def times_jacobian(self, value: Tensor) -> None:
        """See `NormalisedRows`."""
        value.mul_(self._scale)


class ProjectedRows:
    """Rows of unit mean square: with scale r of a row, the derivative is r (C - n n' / U).

    C takes the mean out where rows are centred, and is the identity where they are not.

    Args:
        outputs: outputs of the layer [F, U].
        centred: whether the mean of each row is taken out.
    """

    def __init__(self, outputs: Tensor, centred: bool) -> None:
        self._centred = centred
        self.rows, self._scale = normalised_rows(outputs, centred)

    def times_jacobian(self, value: Tensor) -> None:
        """See `NormalisedRows`; nothing of the size of `value` is allocated."""
        if self._centred:
            value.sub_(value.mean(dim=1, keepdim=True))
        along = torch.linalg.vecdot(self.rows, value).div_(self.rows.shape[1])
        value.addcmul_(self.rows, along.unsqueeze(1), value=-1.0).mul_(self._scale)


def normalised_rows(outputs: Tensor, centred: bool) -> tuple[Tensor, Tensor]:
    """Divide each row by its root mean square, the mean taken out first if `centred`.

    Statistics of less than float32 are computed in that.

    Args:
        outputs: outputs of a layer [F, U].
        centred: whether the mean of each row is taken out.

    Returns:
        The rows [F, U] and their scales r [F, 1], of the type of `outputs`.
    """
    narrow = outputs.dtype
    wide = torch.promote_types(narrow, torch.float32)
    if centred:
        outputs = outputs.to(wide)
        outputs = outputs - outputs.mean(dim=1, keepdim=True)
    norms = torch.linalg.vector_norm(outputs, dim=1, keepdim=True, dtype=wide)
    square = norms.square() / outputs.shape[1]
    scale = torch.rsqrt(square + (EPSILON if centred else RMS_EPSILON))
    return (outputs * scale).to(narrow), scale.to(narrow)


class NormaliseRows(torch.autograd.Function):
    """`normalised_rows` with its derivative by hand, in a third of the passes that autograd takes.

    The derivative of a row's scale r, by which the derivative is differentiated in turn, is
    -r² n / U.
    """

    @staticmethod
    def forward(outputs: Tensor, centred: bool) -> tuple[Tensor, Tensor]:
        """Return what `normalised_rows` does."""
        return normalised_rows(outputs, centred)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, bool], output: tuple[Tensor, Tensor]) -> None:
        """Keep rows and scales."""
        ctx.centred = inputs[1]
        ctx.save_for_backward(*output)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, by_rows: Tensor | None, by_scale: Tensor | None) -> tuple[Any, None]:
        """Multiply by the derivative; made of operations that can be differentiated."""
        rows, scale = ctx.saved_tensors
        units = rows.shape[1]
        along = torch.zeros_like(scale).squeeze(1)
        value = torch.zeros_like(rows) if by_rows is None else by_rows
        if by_rows is not None:
            if ctx.centred:
                value = value - value.mean(dim=1, keepdim=True)
            along = torch.linalg.vecdot(rows, value) / units
        if by_scale is not None:
            along = along + (by_scale * scale).squeeze(1) / units
        value = torch.addcmul(value, rows, along.unsqueeze(1), value=-1.0)
        # In place unless this pass is itself differentiated.
        return (value * scale if torch.is_grad_enabled() else value.mul_(scale)), None
