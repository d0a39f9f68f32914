"""Reductions over parameter-sized vectors, accumulated in float64.

Float32 dot products over tens of millions of entries lose enough digits to turn p'Ap negative;
these convert block by block, so that nothing of the vectors' size is allocated on the CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 1 << 16


def dot(a: Tensor, b: Tensor) -> float:
    """Return a'b of a [n] and b [n], accumulated in float64."""
    if a.dtype == torch.float64:
        return float(torch.dot(a, b))
    if a.device.type != "cpu":
        return float(torch.mul(a, b).sum(dtype=torch.float64))
    total = 0.0
    for start in range(0, a.numel(), _BLOCK):
        stop = start + _BLOCK
        total += float(torch.dot(a[start:stop].double(), b[start:stop].double()))
    return total


def norm(a: Tensor) -> float:
    """Return the Euclidean norm of a [n], accumulated in float64."""
    return float(dot(a, a) ** 0.5)


def is_finite(a: Tensor) -> bool:
    """Whether every entry of a [n] is finite."""
    return bool(torch.isfinite(a).all())
