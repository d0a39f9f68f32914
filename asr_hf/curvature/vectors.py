"""Reductions of parameter vectors.

Sums over tens of millions of float32 products lose enough digits to turn p'Ap negative, so these
add up float32 only within short runs, and the runs in float64. On the CPU that goes block by block,
so that nothing of the vectors' size is allocated; on a GPU the results of one call come to the host
together.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Entries that are multiplied at once, and that are added up in float32. With smaller blocks more
# time goes into starting and joining threads than into sums.
_BLOCK, _RUN = 1 << 19, 1 << 8


def dots(*pairs: tuple[Tensor, Tensor]) -> list[float]:
    """Compute a'b of each pair of vectors [n], with sums in float64.

    One call for several pairs costs less than several calls: a GPU is waited for once.

    Args:
        pairs: the pairs of vectors.

    Returns:
        The inner products, in the order of the pairs.
    """
    first = pairs[0][0]
    if first.device.type != "cpu":
        sums = [torch.mul(a, b).sum(dtype=torch.float64) for a, b in pairs]
        return [float(x) for x in torch.stack(sums).tolist()]
    if first.dtype == torch.float64:
        return [float(torch.dot(a, b)) for a, b in pairs]
    totals = [0.0] * len(pairs)
    products = first.new_empty(min(_BLOCK, first.numel()))
    for start in range(0, first.numel(), _BLOCK):
        for place, (a, b) in enumerate(pairs):
            some = a[start : start + _BLOCK]
            out = torch.mul(some, b[start : start + _BLOCK], out=products[: len(some)])
            whole = len(out) - len(out) % _RUN
            runs = out[:whole].view(-1, _RUN).sum(dim=1)
            totals[place] += float(runs.sum(dtype=torch.float64))
            totals[place] += float(out[whole:].sum(dtype=torch.float64))
    return totals


def dot(a: Tensor, b: Tensor) -> float:
    """Return a'b of a [n] and b [n], with sums in float64."""
    return dots((a, b))[0]


def norm(a: Tensor) -> float:
    """Return the Euclidean norm of a [n], with sums in float64."""
    return float(dot(a, a) ** 0.5)


def is_finite(a: Tensor) -> bool:
    """Say whether every entry of a [n] is finite."""
    # Nothing that is not finite adds up to a finite sum, and a sum makes no vector of flags.
    return math.isfinite(float(a.sum())) or bool(torch.isfinite(a).all())
