"""An objective whose sums are formed by many processes, each on its share of the sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr_hf.curvature.precision import Precision
from asr_hf.curvature.space import Space
from asr_hf.curvature.statistic import Statistic, Sums
from asr_hf.hf.objective import Curvature, LossSum, Objective, Sample, Split
from asr_hf.runtime.process_group import ProcessGroup
from asr_hf.training.distributed.partition_units import partition_units
from asr_hf.training.distributed.sharded import Sharded
from asr_hf.training.work_counter import WorkCounter


class DataParallel(WorkCounter):
    """L(θ) = Σ over ranks of the inner objective on the units that each was dealt.

    Every rank is asked the same and gets the same answer, bit for bit: an optimiser on top of it
    runs on every rank and takes the same decisions there. Work is counted over all ranks.

    Args:
        inner: computes sums over a sample.
        ranks: add them up.
        frames: work that was done before.
        sharded: divide gradients and the vectors of products among the ranks.
    """

    def __init__(
        self, inner: Objective, ranks: ProcessGroup, frames: dict[str, int], sharded: bool = False
    ) -> None:
        super().__init__()
        self._sharded = Sharded(ranks, inner.num_parameters) if sharded else None
        self.space: Space = self._sharded or inner.space
        self.frames.update(frames)
        self._inner, self._ranks = inner, ranks
        self.num_parameters, self.device = inner.num_parameters, inner.device
        self.layers = inner.layers

    def unit_frames(self, split: Split) -> np.ndarray:
        """Frames of each unit of `part` [units], int64, whoever has it."""
        return self._inner.unit_frames(split)

    def loss(self, theta: Tensor, sample: Sample) -> LossSum:
        """Loss summed over `sample` at θ [n]."""
        shard = _Shard(self._inner, self._ranks, sample)
        own = self._inner.loss(theta, shard.sample)
        self.frames["loss"] += shard.frames
        return self._reduced(own, shard)

    def gradient(self, theta: Tensor, sample: Sample) -> tuple[LossSum, Tensor]:
        """Loss and its gradient [n], both summed over `sample`."""
        shard = _Shard(self._inner, self._ranks, sample)
        own, gradient = self._inner.gradient(theta, shard.sample)
        self.frames["gradient"] += shard.frames
        return self._reduced(own, shard), self._in_space(gradient)

    def _in_space(self, own: Tensor) -> Tensor:
        """The sum over ranks of vectors [n], or this rank's part of it."""
        return (
            self._ranks.all_reduce(own)
            if self._sharded is None
            else self._sharded.reduce_scatter(own)
        )

    def _reduced(self, own: LossSum, shard: _Shard) -> LossSum:
        """One message: the total, the errors, and each unit's loss."""
        packed = torch.zeros(2 + shard.units, dtype=torch.float64)
        packed[0], packed[1] = own.total, own.errors
        packed[2 + torch.from_numpy(shard.places)] = own.per_unit.to(packed)
        packed = self._ranks.all_reduce(packed.to(self.device))
        total, errors = packed[:2].tolist()
        return LossSum(total, shard.frames, int(errors), packed[2:])

    def curvature(self, theta: Tensor, sample: Sample) -> Curvature:
        """The Gauss-Newton matrix at θ summed over `sample`."""
        shard = _Shard(self._inner, self._ranks, sample)

        def count(frames: int) -> None:
            self.frames["curvature"] += frames

        own = self._inner.curvature(theta, shard.sample)
        if self._sharded is not None:
            return ShardedCurvature(own, self._sharded, theta, shard.frames, count)
        return SummedCurvature(own, self._ranks, shard.frames, count)

    def accumulate(self, theta: Tensor, sample: Sample, statistic: Statistic[Any]) -> Sums:
        """What `statistic` sums, over all of `sample` at θ [n]."""
        shard = _Shard(self._inner, self._ranks, sample)
        self.frames["gradient"] += shard.frames
        own = self._inner.accumulate(theta, shard.sample, statistic)
        return Sums(
            [self._in_space(vector) for vector in own.vectors],
            [self._ranks.all_reduce(other) for other in own.others],
        )


class _Shard:
    """This rank's part of a sample.

    Args:
        objective: knows the units' sizes.
        ranks: whom units are dealt to.
        sample: of all ranks.
    """

    def __init__(self, objective: Objective, ranks: ProcessGroup, sample: Sample) -> None:
        frames = objective.unit_frames(sample.split)[sample.units]
        # Of the whole sample, as LossSum and work counters want them.
        self.units, self.frames = len(frames), int(frames.sum())
        self.places = partition_units(frames, ranks.count)[ranks.rank]
        self.sample = Sample(sample.split, sample.units[self.places])


class SummedCurvature:
    """G = Σ over ranks of the curvature of each one's share: one message [n] a product.

    Args:
        own: of this rank's share.
        ranks: add the products up.
        num_frames: of the whole sample.
        on_product: called with `num_frames` after each product, for work counters.
    """

    def __init__(
        self,
        own: Curvature,
        ranks: ProcessGroup,
        num_frames: int,
        on_product: Callable[[int], None],
    ) -> None:
        self._own, self._ranks, self._on_product = own, ranks, on_product
        self.num_frames = num_frames

    @property
    def precision(self) -> Precision:
        """Of products; solvers raise it on every rank at once."""
        return self._own.precision

    def product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v [n], in `out` if given."""
        return self._reduced(self._own.product(vector, out))

    def exact_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v [n] in full precision, in `out` if given."""
        return self._reduced(self._own.exact_product(vector, out))

    def raise_precision(self) -> None:
        """Compute products in the next higher precision from now on."""
        self._own.raise_precision()

    def _reduced(self, product: Tensor) -> Tensor:
        self._on_product(self.num_frames)
        return self._ranks.all_reduce(product)


class ShardedCurvature:
    """The same on parts of vectors: an all-gather [n] before a product, a reduce-scatter after it.

    Args:
        own: of this rank's share.
        space: what a part is.
        like: of the vectors' type [n].
        num_frames: of the whole sample.
        on_product: called with `num_frames` after each product, for work counters.
    """

    def __init__(
        self,
        own: Curvature,
        space: Sharded,
        like: Tensor,
        num_frames: int,
        on_product: Callable[[int], None],
    ) -> None:
        self._own, self._space, self._on_product = own, space, on_product
        self._buffer = space.buffer(like)
        self.num_frames = num_frames

    @property
    def precision(self) -> Precision:
        """Of products; solvers raise it on every rank at once."""
        return self._own.precision

    def product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return this rank's part of G v [k] for that of v [k], in `out` if given."""
        whole = self._space.whole(vector)
        return self._reduced(self._own.product(whole, self._buffer), out)

    def exact_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """The same in full precision."""
        whole = self._space.whole(vector)
        return self._reduced(self._own.exact_product(whole, self._buffer), out)

    def raise_precision(self) -> None:
        """Compute products in the next higher precision from now on."""
        self._own.raise_precision()

    def _reduced(self, product: Tensor, out: Tensor | None) -> Tensor:
        self._on_product(self.num_frames)
        return self._space.reduce_scatter(product, out)
