"""The L-BFGS inverse by the two-loop recursion (Nocedal 1980), the peer of the compact form."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class TwoLoop:
    """L-BFGS inverse H of pairs (s, y), oldest first, with H0 = γI and γ = s'y / y'y of the newest.

    As in `torch.optim.LBFGS`, each loop does one dot product and one in-place update of the vector
    for each pair.

    Args:
        steps: s of each pair [n].
        changes: y of each pair [n].
    """

    def __init__(self, steps: Sequence[Tensor], changes: Sequence[Tensor]) -> None:
        self._steps, self._changes = list(steps), list(changes)
        products = [float(torch.dot(s, y)) for s, y in zip(steps, changes, strict=True)]
        self._rho = [1.0 / product for product in products]
        self._gamma = products[-1] / float(torch.dot(changes[-1], changes[-1]))

    def apply(self, residual: Tensor, out: Tensor) -> Tensor:
        """Compute H r [n] of the residual r [n] in `out`."""
        pairs = list(zip(self._steps, self._changes, self._rho, strict=True))
        out.copy_(residual)
        weights = []
        for s, y, rho in reversed(pairs):
            weights.append(float(torch.dot(s, out)) * rho)
            out.add_(y, alpha=-weights[-1])
        out.mul_(self._gamma)
        for s, y, rho in pairs:
            out.add_(s, alpha=weights.pop() - float(torch.dot(y, out)) * rho)
        return out
