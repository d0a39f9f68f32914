"""A small objective with dense float64 oracles, and fixtures of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from asr_hf.curvature.affine import AffineLayer, OnLayer
from asr_hf.curvature.gauss_newton import KeptDoubleBackward, SampleCurvature
from asr_hf.curvature.space import UNSHARDED
from asr_hf.curvature.statistic import SamplePasses, Statistic, Sums
from asr_hf.hf.objective import LossSum, Sample, Split


class PlainObjective:
    """What an objective has in one process, without dropout and batch normalisation."""

    space, statistics = UNSHARDED, {}

    def common(self, value: float) -> float:
        return value

    def statistics_of_samples(self) -> AbstractContextManager[None]:
        return nullcontext()

    def begin_iteration(self, iteration: int) -> None:
        pass

    def renew_statistics(self, theta: Tensor, sample: Sample, total: Any = None) -> int:
        return 0


class TinyNet(PlainObjective):
    """Softmax over tanh units on Gaussian clusters; θ = (W1, b1, W2, b2) in one vector."""

    old_fisher = ()

    def __init__(
        self, dtype: torch.dtype = torch.float64, inputs: int = 4, hidden: int = 5
    ) -> None:
        self.shapes = [(hidden, inputs), (hidden,), (3, hidden), (3,)]
        self.layers = (
            AffineLayer(0, inputs, hidden),
            AffineLayer(hidden * (inputs + 1), hidden, 3),
        )
        self.weights = (
            slice(0, hidden * inputs),
            slice(hidden * (inputs + 1), hidden * (inputs + 4)),
        )
        self.num_parameters = sum(int(np.prod(s)) for s in self.shapes)
        self.pulled = (slice(0, self.num_parameters),)
        self.device = torch.device("cpu")
        self.frames_by_pass = {"gradient": 0, "curvature": 0, "loss": 0}
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(3, inputs)) * 1.5
        self._data: dict[Split, list[tuple[Tensor, Tensor]]] = {}
        for split, units in ((Split.TRAIN, 40), (Split.HELDOUT, 12)):
            self._data[split] = []
            for _ in range(units):
                labels = rng.integers(0, 3, size=int(rng.integers(3, 12)))
                x = centres[labels] + rng.normal(size=(len(labels), inputs))
                self._data[split].append(
                    (torch.tensor(x, dtype=dtype), torch.tensor(labels, dtype=torch.int64))
                )

    def unit_frames(self, split: Split) -> np.ndarray:
        return np.array([len(y) for _, y in self._data[split]])

    def batch(self, sample: Sample) -> tuple[Tensor, Tensor]:
        data = [self._data[sample.split][u] for u in sample.units]
        return torch.cat([x for x, _ in data]), torch.cat([y for _, y in data])

    def parts(self, theta: Tensor) -> list[Tensor]:
        pieces = theta.split([int(np.prod(s)) for s in self.shapes])
        return [p.view(s) for p, s in zip(pieces, self.shapes, strict=True)]

    def logits(self, parts: list[Tensor], x: Tensor) -> Tensor:
        w1, b1, w2, b2 = parts
        return torch.tanh(x @ w1.T + b1) @ w2.T + b2

    def losses(self, theta: Tensor, sample: Sample) -> Tensor:
        x, y = self.batch(sample)
        logits = self.logits(self.parts(theta), x)
        return torch.nn.functional.cross_entropy(logits, y, reduction="none")

    def loss(self, theta: Tensor, sample: Sample) -> LossSum:
        losses = self.losses(theta, sample).detach()
        self.frames_by_pass["loss"] += len(losses)
        return self.summed(losses, sample)

    def summed(self, losses: Tensor, sample: Sample) -> LossSum:
        wide, frames = losses.double(), self.unit_frames(sample.split)[sample.units]
        per_unit = torch.stack([x.sum() for x in wide.split(frames.tolist())])
        return LossSum(float(wide.sum()), len(wide), 0, per_unit)

    def gradient(self, theta: Tensor, sample: Sample) -> tuple[LossSum, Tensor]:
        leaf = theta.clone().requires_grad_()
        losses = self.losses(leaf, sample)
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        return self.summed(losses.detach(), sample), gradient

    def curvature(self, theta: Tensor, sample: Sample) -> SampleCurvature:
        x, _ = self.batch(sample)
        chunks = []
        for piece in x.split(16):
            leaves = [p.clone().requires_grad_() for p in self.parts(theta)]
            logits = self.logits(leaves, piece)
            p = logits.detach().softmax(1)

            def fisher(u: Tensor, p: Tensor = p) -> Tensor:
                pu = p * u
                return pu - p * pu.sum(1, keepdim=True)

            chunks.append(KeptDoubleBackward(logits, leaves, fisher))
        return SampleCurvature(
            lambda place, _: chunks[place], len(chunks), len(x), lambda frames: None
        )

    def unit_gradients(self, theta: Tensor, sample: Sample) -> Iterator[tuple[int, Tensor]]:
        for unit in sample.units:
            loss, gradient = self.gradient(theta, Sample(sample.split, np.array([unit])))
            yield loss.num_frames, gradient

    def layer_gradients(
        self, theta: Tensor, sample: Sample, seed: int, on_input: OnLayer, on_gradient: OnLayer
    ) -> None:
        """By the definition, back-propagation written out."""
        x, _ = self.batch(sample)
        w1, b1, w2, b2 = self.parts(theta)
        generator = torch.Generator().manual_seed(seed)
        hidden = torch.tanh(x @ w1.T + b1)
        p = (hidden @ w2.T + b2).softmax(1)
        labels = torch.multinomial(p, 1, generator=generator).squeeze(1)
        top = p - torch.nn.functional.one_hot(labels, 3)
        below = (top @ w2) * (1 - hidden**2)
        for layer, (a, g) in enumerate(((x, below), (hidden, top))):
            on_input(layer, a)
            on_gradient(layer, g)

    def accumulate(self, theta: Tensor, sample: Sample, statistic: Statistic[Any]) -> Sums:
        passes = (partial(p, theta, sample) for p in (self.unit_gradients, self.layer_gradients))
        return statistic.sums(SamplePasses(theta, *passes))

    def dense_gauss_newton(self, theta: Tensor, sample: Sample) -> Tensor:
        """J'HJ [n, n] by the definition."""
        x, _ = self.batch(sample)

        def flat_logits(t: Tensor) -> Tensor:
            return self.logits(self.parts(t), x)

        jacobian = torch.autograd.functional.jacobian(flat_logits, theta)
        p = flat_logits(theta).softmax(1)
        hessian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        return torch.einsum("tcn,tcd,tdm->nm", jacobian, hessian, jacobian)


@pytest.fixture
def net() -> TinyNet:
    return TinyNet()


@pytest.fixture
def theta(net: TinyNet) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return 0.5 * torch.randn(net.num_parameters, generator=generator, dtype=torch.float64)


@pytest.fixture
def everything(net: TinyNet) -> Sample:
    return Sample(Split.TRAIN, np.arange(40))
