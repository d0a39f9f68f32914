"""An objective whose sums are formed by many processes, each on its share of the sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr_hf.hf.objective import Curvature, LossSum, Objective, Part, Sample
from asr_hf.hf.precision import Precision
from asr_hf.hf.space import Space
from asr_hf.hf.statistic import Statistic, Sums
from asr_hf.runtime.ranks import Ranks
from asr_hf.training.deal import deal
from asr_hf.training.divided import Divided
from asr_hf.training.work import WorkCounter


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
        self, inner: Objective, ranks: Ranks, frames: dict[str, int], sharded: bool = False
    ) -> None:
        super().__init__()
        self._divided = Divided(ranks, inner.num_parameters) if sharded else None
        self.space: Space = self._divided or inner.space
        self.frames.update(frames)
        self._inner, self._ranks = inner, ranks
        self.num_parameters, self.device = inner.num_parameters, inner.device
        self.layers = inner.layers

    def unit_frames(self, part: Part) -> np.ndarray:
        """Frames of each unit of `part` [units], int64, whoever has it."""
        return self._inner.unit_frames(part)

    def loss(self, theta: Tensor, sample: Sample) -> LossSum:
        """Loss summed over `sample` at θ [n]."""
        share = _Share(self._inner, self._ranks, sample)
        own = self._inner.loss(theta, share.sample)
        self.frames["loss"] += share.frames
        return self._summed(own, share)

    def gradient(self, theta: Tensor, sample: Sample) -> tuple[LossSum, Tensor]:
        """Loss and its gradient [n], both summed over `sample`."""
        share = _Share(self._inner, self._ranks, sample)
        own, gradient = self._inner.gradient(theta, share.sample)
        self.frames["gradient"] += share.frames
        return self._summed(own, share), self._in_space(gradient)

    def _in_space(self, own: Tensor) -> Tensor:
        """The sum over ranks of vectors [n], or this rank's part of it."""
        return self._ranks.sum_(own) if self._divided is None else self._divided.summed(own)

    def _summed(self, own: LossSum, share: _Share) -> LossSum:
        """One message: the total, the errors, and each unit's loss."""
        packed = torch.zeros(2 + share.units, dtype=torch.float64)
        packed[0], packed[1] = own.total, own.errors
        packed[2 + torch.from_numpy(share.places)] = own.per_unit.to(packed)
        packed = self._ranks.sum_(packed.to(self.device))
        total, errors = packed[:2].tolist()
        return LossSum(total, share.frames, int(errors), packed[2:])

    def curvature(self, theta: Tensor, sample: Sample) -> Curvature:
        """The Gauss-Newton matrix at θ summed over `sample`."""
        share = _Share(self._inner, self._ranks, sample)

        def count(frames: int) -> None:
            self.frames["curvature"] += frames

        own = self._inner.curvature(theta, share.sample)
        if self._divided is not None:
            return DividedCurvature(own, self._divided, theta, share.frames, count)
        return SummedCurvature(own, self._ranks, share.frames, count)

    def accumulate(self, theta: Tensor, sample: Sample, statistic: Statistic[Any]) -> Sums:
        """What `statistic` sums, over all of `sample` at θ [n]."""
        share = _Share(self._inner, self._ranks, sample)
        self.frames["gradient"] += share.frames
        own = self._inner.accumulate(theta, share.sample, statistic)
        return Sums(
            [self._in_space(vector) for vector in own.vectors],
            [self._ranks.sum_(other) for other in own.others],
        )


class _Share:
    """This rank's part of a sample.

    Args:
        objective: knows the units' sizes.
        ranks: whom units are dealt to.
        sample: of all ranks.
    """

    def __init__(self, objective: Objective, ranks: Ranks, sample: Sample) -> None:
        frames = objective.unit_frames(sample.part)[sample.units]
        # Of the whole sample, as LossSum and work counters want them.
        self.units, self.frames = len(frames), int(frames.sum())
        self.places = deal(frames, ranks.count)[ranks.rank]
        self.sample = Sample(sample.part, sample.units[self.places])


class SummedCurvature:
    """G = Σ over ranks of the curvature of each one's share: one message [n] a product.

    Args:
        own: of this rank's share.
        ranks: add the products up.
        frames: of the whole sample.
        on_product: called with `frames` after each product, for work counters.
    """

    def __init__(
        self, own: Curvature, ranks: Ranks, frames: int, on_product: Callable[[int], None]
    ) -> None:
        self._own, self._ranks, self._on_product = own, ranks, on_product
        self.frames = frames

    @property
    def precision(self) -> Precision:
        """Of products; solvers raise it on every rank at once."""
        return self._own.precision

    def product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v [n], in `out` if given."""
        return self._summed(self._own.product(vector, out))

    def exact_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v [n] in full precision, in `out` if given."""
        return self._summed(self._own.exact_product(vector, out))

    def raise_precision(self) -> None:
        """Compute products in the next higher precision from now on."""
        self._own.raise_precision()

    def _summed(self, product: Tensor) -> Tensor:
        self._on_product(self.frames)
        return self._ranks.sum_(product)


class DividedCurvature:
    """The same on parts of vectors: an all-gather [n] before a product, a reduce-scatter after it.

    Args:
        own: of this rank's share.
        space: what a part is.
        like: of the vectors' type [n].
        frames: of the whole sample.
        on_product: called with `frames` after each product, for work counters.
    """

    def __init__(
        self,
        own: Curvature,
        space: Divided,
        like: Tensor,
        frames: int,
        on_product: Callable[[int], None],
    ) -> None:
        self._own, self._space, self._on_product = own, space, on_product
        self._room = space.room(like)
        self.frames = frames

    @property
    def precision(self) -> Precision:
        """Of products; solvers raise it on every rank at once."""
        return self._own.precision

    def product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return this rank's part of G v [k] for that of v [k], in `out` if given."""
        whole = self._space.whole(vector)
        return self._summed(self._own.product(whole, self._room), out)

    def exact_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """The same in full precision."""
        whole = self._space.whole(vector)
        return self._summed(self._own.exact_product(whole, self._room), out)

    def raise_precision(self) -> None:
        """Compute products in the next higher precision from now on."""
        self._own.raise_precision()

    def _summed(self, product: Tensor, out: Tensor | None) -> Tensor:
        self._on_product(self.frames)
        return self._space.summed(product, out)
