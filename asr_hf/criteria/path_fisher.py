"""Products with the curvature of lattice-free MMI at the outputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asr_hf.criteria.denominator_groups import Group, PathSums
from asr_hf.curvature.gauss_newton import OutputCurvature


class PathFisher:
    """u -> Cov(occupancies) u over the denominator's paths of some utterances.

    Args:
        groups: groups of utterances, with the distribution over their paths.
    """

    def __init__(self, groups: Sequence[tuple[Group, PathSums]]) -> None:
        self._groups = groups

    @torch.no_grad()
    def __call__(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return H u [F, C] of u [F, C], in `out` if given; `out` may be `vector` itself."""
        out = torch.empty_like(vector) if out is None else out
        for group, paths in self._groups:
            out[group.frames] = paths.tangent(vector[group.frames])
        return out


class LatticeFreeCurvature:
    """u -> H u of both output layers.

    Args:
        decay: ρ, the weight of the squared outputs that score paths.
        share: weight of the second output layer.
        paths: u -> H u of what scores paths.
        branch: u -> H u of the second output layer; None where there is none.
    """

    def __init__(
        self,
        decay: float,
        share: float,
        paths: OutputCurvature,
        branch: OutputCurvature | None,
    ) -> None:
        self._decay, self._share = decay, share
        self._paths, self._branch = paths, branch

    @torch.no_grad()
    def __call__(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return H u of u, in `out` if given; `out` may be `vector` itself."""
        parts = [vector] if self._branch is None else vector.tensor_split(2, dim=1)
        products = [self._paths(parts[0]).add_(parts[0], alpha=self._decay)]
        if self._branch is not None:
            products.append(self._branch(parts[1]).mul_(self._share))
        total = products[0] if len(products) == 1 else torch.cat(products, dim=1)
        return total if out is None else out.copy_(total)
