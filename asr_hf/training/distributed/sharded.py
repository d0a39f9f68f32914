"""Vectors of CG divided among the processes of a run (`runtime.sharded`)."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_hf.curvature.space import Space
from asr_hf.runtime.process_group import ProcessGroup


class Sharded(Space):
    """Every rank holds one of `ranks.count` parts of equal size; the last is filled up with zeros.

    Zeros stay zeros under all that CG and its preconditioners do, and add nothing to products.

    Args:
        ranks: whose parts they are.
        length: n.
    """

    def __init__(self, ranks: ProcessGroup, length: int) -> None:
        self._ranks, self._length = ranks, length
        self.size = -(-length // ranks.count)

    def shard(self, whole: Tensor) -> Tensor:
        """See `Space`."""
        start = self._ranks.rank * self.size
        held = whole[..., start : start + self.size]
        found = held.new_zeros(*held.shape[:-1], self.size)
        found[..., : held.shape[-1]] = held
        return found

    def whole(self, shard: Tensor) -> Tensor:
        """See `Space`."""
        return self._ranks.all_gather(shard)[: self._length]

    def rows(self, shards: Tensor) -> Tensor:
        """See `Space`."""
        return torch.stack([self.whole(row.contiguous()).cpu() for row in shards])

    def all_reduce(self, values: Tensor) -> Tensor:
        """See `Space`."""
        return self._ranks.all_reduce(values)

    def reduce_scatter(self, whole: Tensor, out: Tensor | None = None) -> Tensor:
        """This rank's part [k] of the sum over ranks of vectors [n], in `out` if given."""
        result = whole.new_empty(self.size) if out is None else out
        return self._ranks.reduce_scatter(self._filled(whole), result)

    def buffer(self, like: Tensor) -> Tensor:
        """A vector [n] that `reduce_scatter` takes without a copy."""
        return like.new_zeros(self.size * self._ranks.count)[: self._length]

    def _filled(self, whole: Tensor) -> Tensor:
        total = self.size * self._ranks.count
        if whole.numel() == total:
            return whole
        # Made by `buffer`: what lies behind it are zeros.
        if whole._base is not None and whole._base.shape == (total,):
            return whole._base
        return torch.nn.functional.pad(whole, (0, total - whole.numel()))
