"""Divides the vectors of CG among the processes of a run (`runtime.sharded`)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asr_hf.curvature.space import Space
from asr_hf.runtime.process_group import ProcessGroup


class Sharded(Space):
    """Every rank holds one of `group.count` parts of equal size; the last is filled up with zeros.

    Zeros stay zeros under all that CG and its preconditioners do, and add nothing to products.

    Args:
        group: the processes.
        length: length n of a whole vector.

    Attributes:
        size: length k of a part.
    """

    def __init__(self, group: ProcessGroup, length: int) -> None:
        self._group, self._length = group, length
        self.size = -(-length // group.count)

    def shard(self, whole: Tensor) -> Tensor:
        """See `Space`."""
        start = self._group.rank * self.size
        entries = whole[..., start : start + self.size]
        part = entries.new_zeros(*entries.shape[:-1], self.size)
        part[..., : entries.shape[-1]] = entries
        return part

    def whole(self, shard: Tensor) -> Tensor:
        """See `Space`."""
        return self._group.all_gather(shard)[: self._length]

    def rows(self, shards: Tensor) -> Tensor:
        """See `Space`."""
        return torch.stack([self.whole(row.contiguous()).cpu() for row in shards])

    def parts(self, places: Sequence[slice]) -> list[slice]:
        """See `Space`."""
        first = self._group.rank * self.size
        ends = ((max(x.start - first, 0), min(x.stop - first, self.size)) for x in places)
        return [slice(start, stop) for start, stop in ends if start < stop]

    def all_reduce(self, values: Tensor) -> Tensor:
        """See `Space`."""
        return self._group.all_reduce(values)

    def reduce_scatter(self, whole: Tensor, out: Tensor | None = None) -> Tensor:
        """Return this rank's part [k] of the sum of the ranks' vectors [n], in `out` if given."""
        result = whole.new_empty(self.size) if out is None else out
        return self._group.reduce_scatter(self._filled(whole), result)

    def buffer(self, like: Tensor) -> Tensor:
        """Return a vector [n] that `reduce_scatter` takes without a copy."""
        return like.new_zeros(self.size * self._group.count)[: self._length]

    def _filled(self, whole: Tensor) -> Tensor:
        total = self.size * self._group.count
        if whole.numel() == total:
            return whole
        # Made by `buffer`: what lies behind it are zeros.
        if whole._base is not None and whole._base.shape == (total,):
            return whole._base
        return torch.nn.functional.pad(whole, (0, total - whole.numel()))
