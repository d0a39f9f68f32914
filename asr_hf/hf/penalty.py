"""Quadratics in the parameters as parts of the objective: weight decay, and a pull to the start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from asr_hf.curvature.kronecker import KroneckerFactor
from asr_hf.curvature.precision import Precision
from asr_hf.curvature.space import Space
from asr_hf.curvature.statistic import SamplePasses, Statistic, Sums
from asr_hf.curvature.vectors import dot
from asr_hf.hf.fisher_pull import FisherQuadratic
from asr_hf.hf.objective import Curvature, LossSum, Objective, Sample, Split
from asr_hf.hf.objective_decorator import ObjectiveDecorator


class Term(Protocol):
    """A quadratic in θ that stands beside the loss of a frame."""

    @property
    def centre(self) -> Tensor | None:
        """What it pulls to [n]; None for weight decay."""
        ...

    def value(self, theta: Tensor) -> float:
        """Return the value at θ [n]."""
        ...

    def add_gradient(self, target: Tensor, theta: Tensor, frames: float) -> Tensor:
        """Add the gradient at θ [n], times a number of frames, to `target` [n], and return that."""
        ...

    def add_product(self, target: Tensor, vector: Tensor, frames: float) -> Tensor:
        """Add the curvature times a vector, and frames, to `target` [n], and return that."""
        ...

    def held(self, space: Space) -> Term:
        """Return what works on this process's part of a vector."""
        ...


@dataclass(frozen=True)
class Quadratic:
    """½ρ‖θ - c‖² over some of the parameters.

    Args:
        strength: ρ (nats per frame and squared parameter).
        places: places in θ of the parameters.
        centre: c [n]; None is zero.
    """

    strength: float
    places: tuple[slice, ...]
    centre: Tensor | None = None

    def value(self, theta: Tensor) -> float:
        """Return the value at θ [n]."""
        parts = (_from_centre(theta, place, self.centre) for place in self.places)
        return 0.5 * self.strength * sum(dot(part, part) for part in parts)

    def add_gradient(self, target: Tensor, theta: Tensor, frames: float) -> Tensor:
        """Add the gradient at θ [n], times a number of frames, to `target` [n], and return that."""
        for place in self.places:
            away = _from_centre(theta, place, self.centre)
            target[place].add_(away, alpha=self.strength * frames)
        return target

    def add_product(self, target: Tensor, vector: Tensor, frames: float) -> Tensor:
        """Add ρI v, times a number of frames, to `target` [n], and return that."""
        for place in self.places:
            target[place].add_(vector[place], alpha=self.strength * frames)
        return target

    def held(self, space: Space) -> Quadratic:
        """Return what this process's part of a vector has of it."""
        centre = None if self.centre is None else space.shard(self.centre)
        return Quadratic(self.strength, tuple(space.parts(self.places)), centre)


def _from_centre(vector: Tensor, place: slice, centre: Tensor | None) -> Tensor:
    """Return a stretch of a vector, less that of the centre."""
    return vector[place] if centre is None else vector[place] - centre[place]


def penalised(
    objective: Objective,
    theta: Tensor,
    weight_decay: float = 0.0,
    pull: float = 0.0,
    fisher: Sequence[KroneckerFactor] = (),
) -> Objective:
    """Return the objective with weight decay and pulls, or itself where there are none.

    Args:
        objective: the loss of the data.
        theta: parameters θ₀ [n] that pulls are towards.
        weight_decay: ρ of ½ρ‖W‖² over the weights (nats per frame and squared weight).
        pull: ρ of ½ρ‖θ - θ₀‖² over what a pull holds (nats per frame and squared parameter).
        fisher: ρF of ½(θ - θ₀)'ρF(θ - θ₀), layer by layer; nothing without such a pull.

    Returns:
        The objective.

    Raises:
        ValueError: one of them is negative.
    """
    for key, strength in (("weight_decay", weight_decay), ("pull", pull)):
        if not strength >= 0:
            raise ValueError(f"trainer.{key}: needs 0 or more, found {strength}")
    terms: list[Term] = []
    if weight_decay:
        terms.append(Quadratic(weight_decay, objective.weights))
    if pull or fisher:
        start = theta.clone()
        if pull:
            terms.append(Quadratic(pull, objective.pulled, start))
        if fisher:
            terms.append(FisherQuadratic(fisher, start))
    return Penalised(objective, terms) if terms else objective


class Penalised(ObjectiveDecorator):
    """L(θ) and quadratics per frame of training data; the loss of held-out data stays as it is.

    Weight decay is over the weights, without biases; a pull is over all parameters, but those of a
    new output layer. Gradient and curvature have ρ(θ - c) and ρI there, those of a pull in another
    metric ρF(θ - c) and ρF, so that conjugate gradients see the same function that the line search
    does. It stands above all processes that share the data: a quadratic is counted once, whoever
    has the frames.

    Under a pull the statistics of batch normalisation stay as well: they are a part of the network
    that it is towards.

    Args:
        inner: the loss of the data.
        terms: the quadratics.
    """

    def __init__(self, inner: Objective, terms: Sequence[Term]) -> None:
        super().__init__(inner)
        self._terms = tuple(terms)
        self._held = [term.held(self.space) for term in self._terms]
        self._pulls = any(term.centre is not None for term in self._terms)

    def renew_statistics(
        self, theta: Tensor, sample: Sample, total: Callable[[Tensor], Tensor] | None = None
    ) -> int:
        """See `Objective`; a pull keeps them."""
        return 0 if self._pulls else self._inner.renew_statistics(theta, sample, total)

    def common(self, value: float) -> float:
        """See `Objective`."""
        return self._inner.common(value)

    def statistics_of_samples(self) -> AbstractContextManager[None]:
        """See `Objective`; a pull keeps the statistics."""
        return nullcontext() if self._pulls else self._inner.statistics_of_samples()

    def loss(self, theta: Tensor, sample: Sample) -> LossSum:
        """Return the loss summed over `sample` at θ [n]."""
        return self._penalised(self._inner.loss(theta, sample), theta, sample)

    def gradient(self, theta: Tensor, sample: Sample) -> tuple[LossSum, Tensor]:
        """Return the loss and its gradient [n], both summed over `sample`."""
        loss, gradient = self._inner.gradient(theta, sample)
        if sample.split is Split.TRAIN:
            own = self.space.shard(theta)
            for term in self._held:
                term.add_gradient(gradient, own, loss.num_frames)
        return self._penalised(loss, theta, sample), gradient

    def _penalised(self, loss: LossSum, theta: Tensor, sample: Sample) -> LossSum:
        """Add the quadratics of every frame of training data."""
        if sample.split is not Split.TRAIN:
            return loss
        penalty = sum(term.value(theta) for term in self._terms)
        return loss.with_penalty(penalty, self.unit_frames(sample.split)[sample.units])

    def curvature(self, theta: Tensor, sample: Sample) -> Curvature:
        """Return the Gauss-Newton matrix at θ [n], and the quadratics', summed over `sample`."""
        inner = self._inner.curvature(theta, sample)
        if sample.split is not Split.TRAIN:
            return inner
        return PenalisedCurvature(inner, self._held)

    def accumulate(self, theta: Tensor, sample: Sample, statistic: Statistic[Any]) -> Sums:
        """Return what `statistic` sums over `sample`; unit gradients have those of the terms."""
        if sample.split is Split.TRAIN:
            statistic = _OfPenalised(statistic, self._terms)
        return self._inner.accumulate(theta, sample, statistic)


class AddsProduct(Protocol):
    """The curvature of a term of the objective."""

    def add_product(self, target: Tensor, vector: Tensor, frames: float) -> Tensor:
        """Add the product with `vector` [n], times a number of frames, to `target` [n]."""
        ...


class PenalisedCurvature:
    """G and the curvature of terms of θ, summed over frames; see `Curvature`.

    Args:
        inner: G.
        terms: the terms, as this process's part of a vector has them.
    """

    def __init__(self, inner: Curvature, terms: Iterable[AddsProduct]) -> None:
        self._inner, self._terms = inner, tuple(terms)
        self.num_frames = inner.num_frames

    @property
    def precision(self) -> Precision:
        """Precision of `product`."""
        return self._inner.precision

    def product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """See `Curvature`."""
        return self._with_terms(self._inner.product(vector, out), vector)

    def exact_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """See `Curvature`."""
        return self._with_terms(self._inner.exact_product(vector, out), vector)

    def _with_terms(self, product: Tensor, vector: Tensor) -> Tensor:
        for term in self._terms:
            term.add_product(product, vector, self.num_frames)
        return product

    def raise_precision(self) -> None:
        """See `Curvature`."""
        self._inner.raise_precision()


@dataclass(frozen=True)
class _OfPenalised:
    """A statistic whose unit gradients have the quadratics of their frames; the sums add up.

    The gradients at the outputs of layers, from labels that the model draws, have none: what
    stands for the quadratics in factors are `decay` and `fisher` of `SampleStatistics`.
    """

    inner: Statistic[Any]
    terms: tuple[Term, ...]

    def sums(self, passes: SamplePasses) -> Sums:
        """See `Statistic`."""

        def unit_gradients() -> Iterator[tuple[int, Tensor]]:
            of_a_frame = torch.zeros_like(passes.theta)
            for term in self.terms:
                term.add_gradient(of_a_frame, passes.theta, 1.0)
            for frames, gradient in passes.unit_gradients():
                yield frames, gradient.add_(of_a_frame, alpha=frames)

        return self.inner.sums(replace(passes, unit_gradients=unit_gradients))

    def finish(self, totals: Sums, frames: int) -> Any:
        """See `Statistic`."""
        return self.inner.finish(totals, frames)
