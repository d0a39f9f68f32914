"""Reductions of parameter vectors.

Sums over tens of millions of float32 products lose enough digits to turn p'Ap negative, so these
accumulate in float64. On the CPU they convert block by block and go through each vector once, so
that nothing of the vectors' size is allocated; on a GPU the results of one call come to the host
together.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Three such blocks in float64 stay in a core's second-level cache.
_BLOCK = 1 << 15


def dots(*pairs: tuple[Tensor, Tensor]) -> list[float]:
    """Compute a'b of each pair of vectors [n], accumulated in float64.

    One call for several pairs costs less than several calls: a vector in several pairs is read
    once, and a GPU is waited for once.

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
    vectors = {id(v): v for pair in pairs for v in pair}
    for start in range(0, first.numel(), _BLOCK):
        wide = {key: v[start : start + _BLOCK].double() for key, v in vectors.items()}
        for place, (a, b) in enumerate(pairs):
            totals[place] += float(torch.dot(wide[id(a)], wide[id(b)]))
    return totals


def dot(a: Tensor, b: Tensor) -> float:
    """Return a'b of a [n] and b [n], accumulated in float64."""
    return dots((a, b))[0]


def norm(a: Tensor) -> float:
    """Return the Euclidean norm of a [n], accumulated in float64."""
    return float(dot(a, a) ** 0.5)


def is_finite(a: Tensor) -> bool:
    """Say whether every entry of a [n] is finite."""
    # Nothing that is not finite adds up to a finite sum, and a sum makes no vector of flags.
    return math.isfinite(float(a.sum())) or bool(torch.isfinite(a).all())
