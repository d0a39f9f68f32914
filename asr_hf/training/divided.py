"""Vectors of CG divided among the processes of a run (`runtime.sharded`)."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_hf.hf.space import Space
from asr_hf.runtime.ranks import Ranks


class Divided(Space):
    """Every rank holds one of `ranks.count` parts of equal size; the last is filled up with zeros.

    Zeros stay zeros under all that CG and its preconditioners do, and add nothing to products.

    Args:
        ranks: whose parts they are.
        length: n.
    """

    def __init__(self, ranks: Ranks, length: int) -> None:
        self._ranks, self._length = ranks, length
        self.size = -(-length // ranks.count)

    def part(self, whole: Tensor) -> Tensor:
        """See `Space`."""
        start = self._ranks.rank * self.size
        held = whole[..., start : start + self.size]
        found = held.new_zeros(*held.shape[:-1], self.size)
        found[..., : held.shape[-1]] = held
        return found

    def whole(self, part: Tensor) -> Tensor:
        """See `Space`."""
        return self._ranks.together(part)[: self._length]

    def rows(self, parts: Tensor) -> Tensor:
        """See `Space`."""
        return torch.stack([self.whole(row.contiguous()).cpu() for row in parts])

    def sum_(self, values: Tensor) -> Tensor:
        """See `Space`."""
        return self._ranks.sum_(values)

    def summed(self, own: Tensor, out: Tensor | None = None) -> Tensor:
        """This rank's part [k] of the sum over ranks of vectors [n], in `out` if given."""
        result = own.new_empty(self.size) if out is None else out
        return self._ranks.sum_parts(self._filled(own), result)

    def room(self, like: Tensor) -> Tensor:
        """A vector [n] that `summed` takes without a copy."""
        return like.new_zeros(self.size * self._ranks.count)[: self._length]

    def _filled(self, own: Tensor) -> Tensor:
        total = self.size * self._ranks.count
        if own.numel() == total:
            return own
        # Made by `room`: what lies behind it are zeros.
        if own._base is not None and own._base.shape == (total,):
            return own._base
        return torch.nn.functional.pad(own, (0, total - own.numel()))
