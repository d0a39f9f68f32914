"""Weight decay as a part of the objective."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr_hf.curvature.precision import Precision
from asr_hf.curvature.statistic import SamplePasses, Statistic, Sums
from asr_hf.curvature.vectors import dot
from asr_hf.hf.objective import Curvature, LossSum, Objective, Sample, Split


def with_decay(objective: Objective, strength: float) -> Objective:
    """Return the objective with weight decay, or itself where the strength is 0.

    Args:
        objective: the loss of the data.
        strength: ρ (nats per frame and squared weight).

    Returns:
        The objective.

    Raises:
        ValueError: the strength is negative.
    """
    if not strength >= 0:
        raise ValueError(f"trainer.weight_decay: needs 0 or more, found {strength}")
    return WeightDecay(objective, strength) if strength else objective


class WeightDecay:
    """L(θ) + ½ρ‖W‖² per frame of training data; the loss of held-out data stays as it is.

    W are the weights, without biases. Gradient and curvature have ρW and ρI on the weights, so that
    conjugate gradients see the same function that the line search does. It stands above all
    processes that share the data: the decay is counted once, whoever has the frames.

    Args:
        inner: the loss of the data.
        strength: ρ.
    """

    def __init__(self, inner: Objective, strength: float) -> None:
        self._inner, self._strength = inner, strength
        self.num_parameters, self.device = inner.num_parameters, inner.device
        self.space, self.layers, self.weights = inner.space, inner.layers, inner.weights
        # The weights in this process's part of a vector.
        self._held = self.space.parts(self.weights)

    def unit_frames(self, split: Split) -> np.ndarray:
        """See `Objective`."""
        return self._inner.unit_frames(split)

    def begin_iteration(self, iteration: int) -> None:
        """See `Objective`."""
        self._inner.begin_iteration(iteration)

    @property
    def statistics(self) -> dict[str, Tensor]:
        """See `Objective`."""
        return self._inner.statistics

    def renew_statistics(
        self, theta: Tensor, sample: Sample, total: Callable[[Tensor], Tensor] | None = None
    ) -> int:
        """See `Objective`."""
        return self._inner.renew_statistics(theta, sample, total)

    def common(self, value: float) -> float:
        """See `Objective`."""
        return self._inner.common(value)

    def statistics_of_samples(self) -> AbstractContextManager[None]:
        """See `Objective`."""
        return self._inner.statistics_of_samples()

    def loss(self, theta: Tensor, sample: Sample) -> LossSum:
        """Return the loss summed over `sample` at θ [n]."""
        return self._decayed(self._inner.loss(theta, sample), theta, sample)

    def gradient(self, theta: Tensor, sample: Sample) -> tuple[LossSum, Tensor]:
        """Return the loss and its gradient [n], both summed over `sample`."""
        loss, gradient = self._inner.gradient(theta, sample)
        if sample.split is Split.TRAIN:
            own = self.space.shard(theta)
            _add(gradient, own, self._held, self._strength * loss.num_frames)
        return self._decayed(loss, theta, sample), gradient

    def _decayed(self, loss: LossSum, theta: Tensor, sample: Sample) -> LossSum:
        """Add the decay of every frame of training data."""
        if sample.split is not Split.TRAIN:
            return loss
        weights = (theta[place] for place in self.weights)
        penalty = 0.5 * self._strength * sum(dot(part, part) for part in weights)
        counts = torch.from_numpy(self.unit_frames(sample.split)[sample.units])
        return LossSum(
            loss.total + penalty * loss.num_frames,
            loss.num_frames,
            loss.errors,
            loss.per_unit + penalty * counts.to(loss.per_unit),
            penalty,
        )

    def curvature(self, theta: Tensor, sample: Sample) -> Curvature:
        """Return the Gauss-Newton matrix at θ [n], and ρI on the weights, summed over `sample`."""
        inner = self._inner.curvature(theta, sample)
        if sample.split is not Split.TRAIN:
            return inner
        return DecayedCurvature(inner, self._held, self._strength)

    def accumulate(self, theta: Tensor, sample: Sample, statistic: Statistic[Any]) -> Sums:
        """Return what `statistic` sums over `sample`; unit gradients are those with the decay."""
        if sample.split is Split.TRAIN:
            statistic = _OfDecayed(statistic, tuple(self.weights), self._strength)
        return self._inner.accumulate(theta, sample, statistic)


class DecayedCurvature:
    """G + ρI on the weights, summed over frames; see `Curvature`.

    Args:
        inner: G.
        weights: the weights' places in this process's part of a vector.
        strength: ρ.
    """

    def __init__(self, inner: Curvature, weights: Iterable[slice], strength: float) -> None:
        self._inner, self._weights = inner, tuple(weights)
        self.num_frames = inner.num_frames
        self._added = strength * inner.num_frames

    @property
    def precision(self) -> Precision:
        """Precision of `product`."""
        return self._inner.precision

    def product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """See `Curvature`."""
        return _add(self._inner.product(vector, out), vector, self._weights, self._added)

    def exact_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """See `Curvature`."""
        return _add(self._inner.exact_product(vector, out), vector, self._weights, self._added)

    def raise_precision(self) -> None:
        """See `Curvature`."""
        self._inner.raise_precision()


@dataclass(frozen=True)
class _OfDecayed:
    """A statistic whose unit gradients have the decay of their frames; the sums add up as before.

    The gradients at the outputs of layers, from labels that the model draws, have none: what
    stands for the decay in factors is `SampleStatistics.decay`.
    """

    inner: Statistic[Any]
    weights: tuple[slice, ...]
    strength: float

    def sums(self, passes: SamplePasses) -> Sums:
        """See `Statistic`."""

        def unit_gradients() -> Iterator[tuple[int, Tensor]]:
            for frames, gradient in passes.unit_gradients():
                yield frames, _add(gradient, passes.theta, self.weights, self.strength * frames)

        return self.inner.sums(replace(passes, unit_gradients=unit_gradients))

    def finish(self, totals: Sums, frames: int) -> Any:
        """See `Statistic`."""
        return self.inner.finish(totals, frames)


def _add(target: Tensor, vector: Tensor, weights: Iterable[slice], factor: float) -> Tensor:
    """Add a multiple of a vector's weights to those of another one, in place."""
    for place in weights:
        target[place].add_(vector[place], alpha=factor)
    return target
