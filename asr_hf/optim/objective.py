"""The loss of a module on examples, as the Hessian-free optimisers see it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from asr_hf.curvature.affine import AffineLayer, OnLayer
from asr_hf.curvature.gauss_newton import ChunkCurvature, KeptDoubleBackward, SampleCurvature
from asr_hf.curvature.kronecker import KroneckerFactor
from asr_hf.curvature.precision import Precision, narrow_layers
from asr_hf.curvature.space import UNSHARDED, Space
from asr_hf.curvature.statistic import SamplePasses, Statistic, Sums
from asr_hf.data.counter_rng import frame_uniforms
from asr_hf.hf.objective import LossSum, Sample, Split
from asr_hf.optim.examples import Examples, Tree, mapped
from asr_hf.optim.examples import leaves as leaves_of
from asr_hf.optim.losses import OutputLoss
from asr_hf.optim.network import Network
from asr_hf.optim.random import seeded
from asr_hf.optim.unit_gradients import UnitGradients
from asr_hf.runtime.errors import InputError

log = logging.getLogger(__name__)

# What torch says where an operation cannot be differentiated twice.
_ONCE = ("derivative for", "double backward", "differentiate twice", "not have been used")


class ModuleObjective:
    """The mean over examples of a loss of a module's outputs; each example is a unit of one frame.

    Training data go through the module in training mode, held-out data in evaluation mode. Dropout
    draws anew in each iteration and is the same in all passes of a sample.

    Args:
        network: the module.
        loss: the loss of its outputs.
        examples: training and held-out data.
        chunk_size: number of examples that go through the network at once.
        precision: arithmetic of Gauss-Newton products.
        seed: seed of dropout.
    """

    space: Space = UNSHARDED

    def __init__(
        self,
        network: Network,
        loss: OutputLoss,
        examples: Mapping[Split, Examples],
        chunk_size: int,
        precision: Precision,
        seed: int,
    ) -> None:
        self.network, self._loss, self._examples = network, loss, dict(examples)
        self.chunk_size, self.precision, self.seed = chunk_size, precision, seed
        self.num_parameters, self.device = network.size, network.device
        self.layers: tuple[AffineLayer, ...] = network.affine_layers()
        self.weights = network.weights
        self.pulled: tuple[slice, ...] = (slice(0, network.size),)
        self.old_fisher: tuple[KroneckerFactor, ...] = ()
        self._gradients, self._iteration = UnitGradients(network, loss), 0

    def check(self, numbers: np.ndarray) -> None:
        """Try module and loss on some training examples, at the module's parameters.

        Raises:
            InputError: they do not fit together, or the loss is not convex in the outputs.
        """
        inputs, targets = self._taken(Split.TRAIN, numbers)
        leaves = self.network.leaves(self.network.theta())
        with torch.no_grad(), self._seeded(0):
            outputs = self._outputs(leaves, inputs, Split.TRAIN)
        if len(outputs) != len(numbers):
            raise InputError(
                f"module: outputs {list(outputs.shape)} of {len(numbers)} examples",
                expected="a row for each example [N, ...]",
            )
        try:
            losses = self._loss.per_example(outputs, targets)
        except (RuntimeError, ValueError, IndexError) as error:
            shapes = [list(leaf.shape) for leaf in leaves_of(targets)]
            raise InputError(
                f"loss: {str(error).splitlines()[0]}",
                expected=f"a loss of outputs {list(outputs.shape)} and targets "
                f"{', '.join(map(str, shapes))}",
            ) from error
        if not bool(torch.isfinite(losses).all()):
            raise InputError("loss: it is not finite on the first examples")
        vector = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(0)).to(outputs)
        with _differentiated_twice():
            product = self._loss.curvature(outputs, targets)(vector)
        value = float((vector.double() * product.double()).sum())
        if value < -1e-6 * float(vector.norm() * product.norm()):
            raise InputError(
                "loss: it is not convex in the module's outputs",
                expected="a convex loss, for which the Gauss-Newton matrix is positive "
                "semi-definite",
                remedy="let the last non-linearity be a part of the loss, not of the module",
            )
        if value == 0.0:
            log.warning("the loss has no curvature at the outputs of the first examples")

    @property
    def statistics(self) -> dict[str, Tensor]:
        """See `Objective`: the running statistics of batch normalisation."""
        return self.network.statistics

    def unit_frames(self, split: Split) -> np.ndarray:
        """Return a one for each example of `split` [N], int64."""
        return np.ones(len(self._examples[split]), dtype=np.int64)

    def begin_iteration(self, iteration: int) -> None:
        """Let dropout draw anew; see `Objective`."""
        self._iteration = iteration

    @torch.no_grad()
    def renew_statistics(
        self, theta: Tensor, sample: Sample, total: Callable[[Tensor], Tensor] | None = None
    ) -> int:
        """Renew the running statistics from `sample` at θ [n]; see `Objective`."""
        if not self.network.statistics:
            return 0
        leaves = self.network.leaves(theta)
        with self.network.measuring():
            for inputs, _, place in self._chunks(sample):
                with self._seeded(place):
                    self._outputs(leaves, inputs, sample.split)
        return 1

    def common(self, value: float) -> float:
        """Return the value: there is one process."""
        return value

    def statistics_of_samples(self) -> AbstractContextManager[None]:
        """See `Objective`."""
        return self.network.by_sample()

    @torch.no_grad()
    def loss(self, theta: Tensor, sample: Sample) -> LossSum:
        """Return the loss summed over `sample` at θ [n]."""
        leaves, losses, errors = self.network.leaves(theta), [], 0
        for inputs, targets, number in self._chunks(sample):
            with self._seeded(number):
                outputs = self._outputs(leaves, inputs, sample.split)
            losses.append(self._loss.per_example(outputs, targets).double())
            errors += self._loss.errors(outputs, targets)
        return _summed(losses, errors)

    def gradient(self, theta: Tensor, sample: Sample) -> tuple[LossSum, Tensor]:
        """Return the loss and its gradient [n], both summed over `sample`."""
        leaves, losses, errors = self.network.leaves(theta, requires_grad=True), [], 0
        total = torch.zeros_like(theta)
        for inputs, targets, number in self._chunks(sample):
            with self._seeded(number):
                outputs = self._outputs(leaves, inputs, sample.split)
            loss = self._loss.per_example(outputs, targets)
            self._add(torch.autograd.grad(loss.sum(), leaves), total)
            losses.append(loss.detach().double())
            errors += self._loss.errors(outputs.detach(), targets)
        return _summed(losses, errors), total

    def _add(self, parts: tuple[Tensor, ...], total: Tensor) -> None:
        torch._foreach_add_(self.network.leaves(total), list(parts))

    def curvature(self, theta: Tensor, sample: Sample) -> SampleCurvature:
        """Return the Gauss-Newton matrix at θ summed over `sample`; θ must not change in use."""
        count = -(-len(sample.units) // self.chunk_size)

        def make(place: int, precision: Precision) -> ChunkCurvature:
            leaves = self.network.leaves(theta, requires_grad=True)
            numbers = sample.units[place * self.chunk_size :][: self.chunk_size]
            inputs, targets = self._taken(sample.split, numbers)
            # Its other kernels can be differentiated once.
            with sdpa_kernel(SDPBackend.MATH), narrow_layers(self.device, precision):
                with self._seeded(place):
                    outputs = self._outputs(leaves, inputs, sample.split).to(theta.dtype)
                curvature = self._loss.curvature(outputs.detach(), targets)
                with _differentiated_twice():
                    return _Explained(KeptDoubleBackward(outputs, leaves, curvature))

        return SampleCurvature(make, count, len(sample.units), lambda frames: None, self.precision)

    def accumulate(self, theta: Tensor, sample: Sample, statistic: Statistic[Any]) -> Sums:
        """Return what `statistic` sums over all of `sample` at θ [n]."""
        return statistic.sums(
            SamplePasses(
                theta,
                partial(self.unit_gradients, theta, sample),
                partial(self.layer_gradients, theta, sample),
            )
        )

    def unit_gradients(self, theta: Tensor, sample: Sample) -> Iterator[tuple[int, Tensor]]:
        """Yield the gradient [n] of each example."""
        size, training = self._gradients.at_once, sample.split is Split.TRAIN
        for place, start in enumerate(range(0, len(sample.units), size)):
            inputs, targets = self._taken(sample.split, sample.units[start : start + size])
            with self._seeded(place):
                rows = self._gradients(theta, inputs, targets, training=training)
            for row in rows:
                yield 1, row

    def layer_gradients(
        self, theta: Tensor, sample: Sample, seed: int, on_input: OnLayer, on_gradient: OnLayer
    ) -> None:
        """Show inputs of the affine layers and gradients at their outputs; see `SamplePasses`."""
        leaves = self.network.leaves(theta, requires_grad=True)
        for inputs, targets, place in self._chunks(sample):
            with self.network.tapped(on_input) as tapped, self._seeded(place):
                outputs = self._outputs(leaves, inputs, sample.split)
            numbers = sample.units[place * self.chunk_size :][: self.chunk_size]
            draw = partial(_uniforms, seed, numbers, self.device)
            at_outputs = self._loss.sampled_gradient(outputs.detach(), targets, draw)
            for layer, g in enumerate(torch.autograd.grad(outputs, tapped, at_outputs)):
                on_gradient(layer, g.reshape(-1, g.shape[-1]))

    def _chunks(self, sample: Sample) -> Iterator[tuple[Tree, Tree, int]]:
        """Yield inputs, targets and number of each chunk."""
        for place, start in enumerate(range(0, len(sample.units), self.chunk_size)):
            numbers = sample.units[start : start + self.chunk_size]
            yield (*self._taken(sample.split, numbers), place)

    def _taken(self, split: Split, numbers: np.ndarray) -> tuple[Tree, Tree]:
        def placed(tensor: Tensor) -> Tensor:
            return tensor.to(self.device)

        inputs, targets = self._examples[split].take(numbers)
        return mapped(placed, inputs), mapped(placed, targets)

    def _outputs(self, leaves: list[Tensor], inputs: Tree, split: Split) -> Tensor:
        return self.network.outputs(leaves, inputs, training=split is Split.TRAIN)

    def _seeded(self, place: int) -> AbstractContextManager[None]:
        """Let dropout draw by the iteration and the chunk."""
        if not self.network.draws:
            return nullcontext()
        return seeded(self.device, hash((self.seed, self._iteration, place)))


class _Explained:
    """The curvature of a chunk, which says what is wrong where torch cannot compute it.

    Args:
        inner: the curvature.
    """

    replays = False

    def __init__(self, inner: ChunkCurvature) -> None:
        self._inner = inner

    def add_product(self, vector: Tensor, out: Tensor) -> None:
        """See `ChunkCurvature`."""
        with _differentiated_twice():
            self._inner.add_product(vector, out)


def _summed(losses: list[Tensor], errors: int) -> LossSum:
    per_example = torch.cat(losses) if losses else torch.zeros(0, dtype=torch.float64)
    return LossSum(float(per_example.sum()), len(per_example), errors, per_example)


def _uniforms(seed: int, numbers: np.ndarray, device: torch.device, count: int) -> Tensor:
    """Return numbers in [0, 1) [N, count] of the examples `numbers` [N]; see `frame_uniforms`."""
    places = (numbers[:, None] * count + np.arange(count)).reshape(-1)
    drawn = frame_uniforms(seed, places)[:, 0].reshape(len(numbers), count)
    return torch.from_numpy(drawn).to(device)


@contextmanager
def _differentiated_twice() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in _ONCE):
            raise
        raise InputError(
            "module: an operation cannot be differentiated twice, or a parameter has no part in "
            f"some examples: {str(error).splitlines()[0]}",
            expected="operations whose gradients can be differentiated, and one graph for all",
            remedy="with torch.backends.cudnn.flags(enabled=False) recurrent networks can",
        ) from error
