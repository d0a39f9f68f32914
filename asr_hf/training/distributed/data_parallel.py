"""An objective whose sums many processes form, each over its share of the sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from asr_hf.curvature.precision import Precision
from asr_hf.curvature.statistic import Statistic, Sums
from asr_hf.hf.objective import Curvature, LossSum, Objective, Sample
from asr_hf.hf.objective_decorator import ObjectiveDecorator
from asr_hf.runtime.process_group import ProcessGroup
from asr_hf.training.distributed.partition_units import partition_units
from asr_hf.training.distributed.sharded import Sharded
from asr_hf.training.work_counter import WorkCounter


class DataParallel(WorkCounter, ObjectiveDecorator):
    """L(θ) = Σ over ranks of the inner objective on the units that each rank is dealt.

    Every rank asks the same questions and gets the same answers, bit for bit: an optimiser on top
    runs on every rank and takes the same decisions there. Work is counted over all ranks.

    Args:
        inner: the objective of one process.
        group: the processes.
        frames_by_pass: work that was done before.
        sharded: whether gradients and the vectors of products are divided among the ranks.
    """

    def __init__(
        self,
        inner: Objective,
        group: ProcessGroup,
        frames_by_pass: dict[str, int],
        sharded: bool = False,
    ) -> None:
        WorkCounter.__init__(self)
        ObjectiveDecorator.__init__(self, inner)
        self._group = group
        self._sharded = Sharded(group, inner.num_parameters) if sharded else None
        self.space = self._sharded or inner.space
        self.frames_by_pass.update(frames_by_pass)

    def renew_statistics(
        self, theta: Tensor, sample: Sample, total: Callable[[Tensor], Tensor] | None = None
    ) -> int:
        """Measure the statistics anew, on all ranks' parts of `sample` together."""
        shard = _Shard(self._inner, self._group, sample)
        passes = self._inner.renew_statistics(theta, shard.sample, self._group.all_reduce)
        self.frames_by_pass["loss"] += passes * shard.num_frames
        return passes

    def common(self, value: float) -> float:
        """Return the value that the first rank has."""
        own = torch.tensor(value if self._group.rank == 0 else 0.0, dtype=torch.float64)
        return float(self._group.all_reduce(own.to(self.device)))

    @contextmanager
    def statistics_of_samples(self) -> Iterator[None]:
        """Let each rank's gradients normalise by its part; the ranks' statistics then are meant."""
        with self._inner.statistics_of_samples():
            yield
        for values in self.statistics.values():
            mean = self._group.all_reduce(values.to(torch.float64)) / self._group.count
            values.copy_(mean if values.is_floating_point() else mean.round())

    def loss(self, theta: Tensor, sample: Sample) -> LossSum:
        """Return the loss summed over `sample` at θ [n]."""
        shard = _Shard(self._inner, self._group, sample)
        loss = self._inner.loss(theta, shard.sample)
        self.frames_by_pass["loss"] += shard.num_frames
        return self._reduced(loss, shard)

    def gradient(self, theta: Tensor, sample: Sample) -> tuple[LossSum, Tensor]:
        """Return the loss and its gradient [n], both summed over `sample`."""
        shard = _Shard(self._inner, self._group, sample)
        loss, gradient = self._inner.gradient(theta, shard.sample)
        self.frames_by_pass["gradient"] += shard.num_frames
        return self._reduced(loss, shard), self._in_space(gradient)

    def _in_space(self, vector: Tensor) -> Tensor:
        """Return the sum of the ranks' vectors [n], or this rank's part of it."""
        return (
            self._group.all_reduce(vector)
            if self._sharded is None
            else self._sharded.reduce_scatter(vector)
        )

    def _reduced(self, loss: LossSum, shard: _Shard) -> LossSum:
        """Add up the ranks' losses in one message: the total, the errors, each unit's loss."""
        packed = torch.zeros(2 + shard.num_units, dtype=torch.float64)
        packed[0], packed[1] = loss.total, loss.errors
        packed[2 + torch.from_numpy(shard.places)] = loss.per_unit.to(packed)
        packed = self._group.all_reduce(packed.to(self.device))
        total, errors = packed[:2].tolist()
        return LossSum(total, shard.num_frames, int(errors), packed[2:], loss.penalty)

    def curvature(self, theta: Tensor, sample: Sample) -> Curvature:
        """Return the Gauss-Newton matrix at θ [n] summed over `sample`."""
        shard = _Shard(self._inner, self._group, sample)

        def count(num_frames: int) -> None:
            self.frames_by_pass["curvature"] += num_frames

        inner = self._inner.curvature(theta, shard.sample)
        if self._sharded is not None:
            return ShardedCurvature(inner, self._sharded, theta, shard.num_frames, count)
        return SummedCurvature(inner, self._group, shard.num_frames, count)

    def accumulate(self, theta: Tensor, sample: Sample, statistic: Statistic[Any]) -> Sums:
        """Return what `statistic` sums over all of `sample` at θ [n]."""
        shard = _Shard(self._inner, self._group, sample)
        self.frames_by_pass["gradient"] += shard.num_frames
        sums = self._inner.accumulate(theta, shard.sample, statistic)
        return Sums(
            [self._in_space(vector) for vector in sums.vectors],
            [self._group.all_reduce(other) for other in sums.others],
        )


class _Shard:
    """This rank's part of a sample.

    Args:
        objective: an objective that knows the units' sizes.
        group: the processes that units are dealt to.
        sample: the sample of all ranks.

    Attributes:
        num_units: number of units of the whole sample.
        num_frames: number of frames of the whole sample.
        places: places of this rank's units in the whole sample.
        sample: this rank's part.
    """

    def __init__(self, objective: Objective, group: ProcessGroup, sample: Sample) -> None:
        frame_counts = objective.unit_frames(sample.split)[sample.units]
        self.num_units, self.num_frames = len(frame_counts), int(frame_counts.sum())
        self.places = partition_units(frame_counts, group.count)[group.rank]
        self.sample = Sample(sample.split, sample.units[self.places])


class SummedCurvature:
    """G = Σ over ranks of the curvature of each rank's share: one message [n] a product.

    Args:
        inner: curvature of this rank's share.
        group: the processes, which add up the products.
        num_frames: number of frames of the whole sample.
        on_product: called with `num_frames` after each product, for work counters.
    """

    def __init__(
        self,
        inner: Curvature,
        group: ProcessGroup,
        num_frames: int,
        on_product: Callable[[int], None],
    ) -> None:
        self._inner, self._group, self._on_product = inner, group, on_product
        self.num_frames = num_frames

    @property
    def precision(self) -> Precision:
        """Precision of products; solvers raise it on every rank at once."""
        return self._inner.precision

    def product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v [n], in `out` if given."""
        return self._reduced(self._inner.product(vector, out))

    def exact_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v [n] in full precision, in `out` if given."""
        return self._reduced(self._inner.exact_product(vector, out))

    def raise_precision(self) -> None:
        """Compute products in the next higher precision from now on."""
        self._inner.raise_precision()

    def _reduced(self, product: Tensor) -> Tensor:
        self._on_product(self.num_frames)
        return self._group.all_reduce(product)


class ShardedCurvature:
    """G = Σ over ranks on parts of vectors: an all-gather [n], a product, a reduce-scatter.

    Args:
        inner: curvature of this rank's share.
        space: the space that says what a part is.
        like: a vector [n] of the type and device of all.
        num_frames: number of frames of the whole sample.
        on_product: called with `num_frames` after each product, for work counters.
    """

    def __init__(
        self,
        inner: Curvature,
        space: Sharded,
        like: Tensor,
        num_frames: int,
        on_product: Callable[[int], None],
    ) -> None:
        self._inner, self._space, self._on_product = inner, space, on_product
        self._buffer = space.buffer(like)
        self.num_frames = num_frames

    @property
    def precision(self) -> Precision:
        """Precision of products; solvers raise it on every rank at once."""
        return self._inner.precision

    def product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return this rank's part of G v [k] for that of v [k], in `out` if given."""
        whole = self._space.whole(vector)
        return self._reduced(self._inner.product(whole, self._buffer), out)

    def exact_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return this rank's part of G v [k] in full precision, in `out` if given."""
        whole = self._space.whole(vector)
        return self._reduced(self._inner.exact_product(whole, self._buffer), out)

    def raise_precision(self) -> None:
        """Compute products in the next higher precision from now on."""
        self._inner.raise_precision()

    def _reduced(self, product: Tensor, out: Tensor | None) -> Tensor:
        self._on_product(self.num_frames)
        return self._space.reduce_scatter(product, out)
