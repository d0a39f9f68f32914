"""Softmax regression, convex, its minimum known from SciPy; and a small network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import Tensor

from asr_hf.baselines.adamw import AdamW, NAdamW
from asr_hf.baselines.lbfgs import LBFGS
from asr_hf.baselines.minibatch import MinibatchTrainer
from asr_hf.baselines.muon import Muon
from asr_hf.baselines.parameters import ParameterPlace
from asr_hf.baselines.schedules import Newbob
from asr_hf.baselines.sgd import SGD
from asr_hf.hf.horizon import Horizon
from asr_hf.hf.objective import LossSum, Sample, Split

from ..tiny_net import PlainObjective

CLASSES, INPUTS, HIDDEN = 3, 4, 6


class SoftmaxRegression(PlainObjective):
    """Overlapping Gaussian clusters; θ is the matrix [classes, inputs + 1] in one vector.

    Held-out data are the training data, so that the minimum is the same on both.
    """

    parameters: tuple[ParameterPlace, ...] = (ParameterPlace(0, (CLASSES, INPUTS + 1), True),)

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        self.num_parameters = sum(math.prod(place.shape) for place in self.parameters)
        self.device = torch.device("cpu")
        self.frames_by_pass = {"gradient": 0, "curvature": 0, "loss": 0}
        rng = np.random.default_rng(0)
        self.lengths = rng.integers(3, 12, size=50)
        labels = rng.integers(0, CLASSES, size=self.lengths.sum())
        centres = rng.normal(size=(CLASSES, INPUTS)) * 0.8
        x = np.hstack(
            [centres[labels] + rng.normal(size=(len(labels), INPUTS)), np.ones((len(labels), 1))]
        )
        self.x, self.labels = torch.tensor(x, dtype=dtype), torch.tensor(labels)
        self.unit = torch.repeat_interleave(torch.arange(50), torch.tensor(self.lengths))

    def unit_frames(self, split: Split) -> np.ndarray:
        return self.lengths

    def _logits(self, theta: Tensor, x: Tensor) -> Tensor:
        return x @ theta.view(CLASSES, -1).T

    def _losses(self, theta: Tensor, chosen: Tensor) -> Tensor:
        logits = self._logits(theta, self.x[chosen])
        return torch.nn.functional.cross_entropy(logits, self.labels[chosen], reduction="none")

    def _frames(self, sample: Sample) -> Tensor:
        return torch.isin(self.unit, torch.tensor(sample.units)).nonzero().squeeze(1)

    def loss(self, theta: Tensor, sample: Sample) -> LossSum:
        losses = self._losses(theta, self._frames(sample))
        self.frames_by_pass["loss"] += len(losses)
        return LossSum(float(losses.double().sum()), len(losses), 0, losses)

    def gradient(self, theta: Tensor, sample: Sample) -> tuple[LossSum, Tensor]:
        chosen = self._frames(sample)
        self.frames_by_pass["gradient"] += len(chosen)
        mean, gradient = self.minibatch_gradient(theta, chosen)
        total = float(mean) * len(chosen)
        return LossSum(total, len(chosen), 0, torch.empty(0)), gradient * len(chosen)

    def curvature(self, theta: Tensor, sample: Sample) -> Any:
        raise NotImplementedError

    def unit_gradients(self, theta: Tensor, sample: Sample) -> Any:
        raise NotImplementedError

    def num_minibatches(self, batch_frames: int) -> int:
        return math.ceil(len(self.labels) / batch_frames)

    def minibatches(self, seed: int, epoch: int, batch_frames: int) -> Iterator[Tensor]:
        order = np.random.default_rng([seed, epoch]).permutation(len(self.labels))
        yield from torch.split(torch.tensor(order), batch_frames)

    def minibatch_gradient(self, theta: Tensor, minibatch: Tensor) -> tuple[Tensor, Tensor]:
        leaf = theta.detach().clone().requires_grad_()
        loss = self._losses(leaf, minibatch).mean()
        (gradient,) = torch.autograd.grad(loss, leaf)
        return loss.detach(), gradient

    def minimum(self) -> float:
        """The least mean loss, found by SciPy's BFGS in float64."""
        everything = Sample(Split.TRAIN, np.arange(50))

        def value(theta: np.ndarray) -> tuple[float, np.ndarray]:
            loss, gradient = self.gradient(torch.tensor(theta), everything)
            return loss.mean, gradient.numpy() / loss.num_frames

        result = scipy.optimize.minimize(value, np.zeros(self.num_parameters), jac=True, tol=1e-10)
        return float(result.fun)


class Network(SoftmaxRegression):
    """The same data with a hidden layer of tanh; θ is W1, b1, W2, b2."""

    parameters = (
        ParameterPlace(0, (HIDDEN, INPUTS + 1)),
        ParameterPlace(30, (HIDDEN,)),
        ParameterPlace(36, (CLASSES, HIDDEN), output=True),
        ParameterPlace(54, (CLASSES,)),
    )

    def _logits(self, theta: Tensor, x: Tensor) -> Tensor:
        w1, b1, w2, b2 = (place.view(theta) for place in self.parameters)
        return torch.tanh(x @ w1.T + b1) @ w2.T + b2

    def start(self) -> Tensor:
        """Random weights, zero biases."""
        generator = torch.Generator().manual_seed(3)
        theta = torch.zeros(self.num_parameters, dtype=self.x.dtype)
        for place in self.parameters:
            if len(place.shape) == 2:
                place.view(theta).normal_(generator=generator).mul_(0.5)
        return theta


@pytest.fixture
def problem() -> SoftmaxRegression:
    return SoftmaxRegression()


@pytest.fixture
def network() -> Network:
    return Network()


MakeTrainer = Callable[..., Any]
MINIBATCH: dict[str, tuple[type[MinibatchTrainer], dict[str, Any]]] = {
    "sgd": (SGD, {"learning_rate": 0.1}),
    "nesterov": (SGD, {"learning_rate": 0.1, "nesterov": True}),
    "adamw": (AdamW, {"learning_rate": 0.05}),
    "nadamw": (NAdamW, {"learning_rate": 0.05}),
    "muon": (Muon, {"learning_rate": 0.05}),
}


@pytest.fixture
def make_trainer() -> MakeTrainer:
    """Make a baseline by name at the problem's start, or θ = 0; keywords change its settings."""

    def make(name: str, objective: SoftmaxRegression, **changes: Any) -> Any:
        theta = torch.zeros(objective.num_parameters, dtype=objective.x.dtype)
        if isinstance(objective, Network):
            theta = objective.start()
        settings: dict[str, Any] = {"objective": objective, "theta": theta}
        if name == "lbfgs":
            return LBFGS(**{**settings, **changes})
        settings |= {"schedule": Newbob(), "batch_frames": 32, "horizon": Horizon(40), "seed": 1}
        kind, own = MINIBATCH[name]
        return kind(**{**settings, **own, **changes})

    return make
