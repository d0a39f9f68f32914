"""The running mean of iterates, which evens out what small samples do to single ones."""

from __future__ import annotations

from torch import Tensor


def add_to_mean(mean: Tensor, theta: Tensor, averaging: float, number: int) -> None:
    """Take θ into the mean θ̄ ← ᾱ θ̄ + (1 - ᾱ) θ (Martens & Grosse 2015, section 10).

    Args:
        mean: θ̄ [n], changed in place; the start before the first iterate.
        theta: the iterate θ [n].
        averaging: ᾱ; the k-th iterate weighs at least 1 / (k + 1).
        number: k, from 1.
    """
    keep = min(averaging, 1 - 1 / (number + 1))
    mean.lerp_(theta, 1 - keep)
