"""Small modules with data and losses in float64, and dense matrices of them by autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as f
from torch import Tensor, nn

from asr_hf.curvature.precision import Precision
from asr_hf.hf.objective import Sample, Split
from asr_hf.optim.examples import examples_of
from asr_hf.optim.known_losses import output_loss
from asr_hf.optim.network import Network
from asr_hf.optim.objective import ModuleObjective

COUNT = 7


@dataclass(frozen=True)
class Case:
    """A loss, and outputs and targets that it is of; `elements` is the same without reduction."""

    loss: Any
    elements: Callable[[Tensor, Any], Tensor]
    shape: tuple[int, ...]
    targets: Tensor


def labels(*shape: int, classes: int = 4) -> Tensor:
    return torch.randint(classes, shape, generator=torch.Generator().manual_seed(3))


def numbers(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


WEIGHT = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)
HELD_BACK = labels(COUNT, 3).masked_fill(numbers(COUNT, 3) < 0.3, -100)


def cross_entropy(**options: Any) -> Callable[[Tensor, Any], Tensor]:
    return lambda z, y: f.cross_entropy(z, y, reduction="none", **options)


def squared_tail(outputs: Tensor, targets: Tensor) -> Tensor:
    """A loss of one's own that gives a value for each example, and couples the outputs."""
    return (outputs - targets).square().sum(1).add(1).sqrt()


def of_batch(outputs: Tensor, targets: Tensor) -> Tensor:
    """A loss of one's own that gives a scalar."""
    return f.huber_loss(outputs, targets, delta=0.3) + 0.1 * outputs.square().mean()


CASES = {
    "cross-entropy": Case(nn.CrossEntropyLoss(), cross_entropy(), (4,), labels(COUNT)),
    "cross-entropy as a function": Case(f.cross_entropy, cross_entropy(), (4,), labels(COUNT)),
    "cross-entropy of positions, weighted, smoothed, some held back": Case(
        nn.CrossEntropyLoss(WEIGHT, label_smoothing=0.2),
        cross_entropy(weight=WEIGHT, label_smoothing=0.2),
        (4, 3),
        HELD_BACK,
    ),
    "cross-entropy of probabilities": Case(
        nn.CrossEntropyLoss(reduction="sum"), cross_entropy(), (4,), numbers(COUNT, 4)
    ),
    "squares": Case(
        nn.MSELoss(), lambda z, y: f.mse_loss(z, y, reduction="none"), (3, 2), numbers(COUNT, 3, 2)
    ),
    "sum of squares": Case(
        nn.MSELoss(reduction="sum"),
        lambda z, y: f.mse_loss(z, y, reduction="none"),
        (3,),
        numbers(COUNT, 3),
    ),
    "binary": Case(
        nn.BCEWithLogitsLoss(pos_weight=WEIGHT[1:]),
        lambda z, y: f.binary_cross_entropy_with_logits(
            z, y, pos_weight=WEIGHT[1:], reduction="none"
        ),
        (3,),
        numbers(COUNT, 3),
    ),
    "huber": Case(
        nn.HuberLoss(delta=0.3),
        lambda z, y: f.huber_loss(z, y, delta=0.3, reduction="none"),
        (3,),
        numbers(COUNT, 3),
    ),
    "poisson": Case(
        nn.PoissonNLLLoss(),
        lambda z, y: f.poisson_nll_loss(z, y, reduction="none"),
        (2,),
        numbers(COUNT, 2),
    ),
    "one's own, of examples": Case(squared_tail, squared_tail, (3,), numbers(COUNT, 3)),
    "one's own, of a batch": Case(
        of_batch,
        lambda z, y: f.huber_loss(z, y, delta=0.3, reduction="none") + 0.1 * z.square(),
        (3,),
        numbers(COUNT, 3),
    ),
}


def reduced(case: Case, outputs: Tensor) -> Tensor:
    """The loss of each example by its definition."""
    values = case.elements(outputs, case.targets).reshape(COUNT, -1)
    return values.sum(1) if getattr(case.loss, "reduction", "") == "sum" else values.mean(1)


class Residual(nn.Module):
    """Layers with tied and unused parameters, in another order than they are used."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(5, 3)
        self.shift = nn.Parameter(torch.zeros(5))
        self.idle = nn.Linear(2, 2)
        self.inner = nn.Linear(5, 5)
        self.again = nn.Linear(5, 5)
        self.again.weight = self.inner.weight

    def forward(self, x: Tensor) -> Tensor:
        x = x + torch.tanh(self.inner(x)) + self.shift
        return self.out(x + torch.tanh(self.again(x)))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(5, 4, batch_first=True)
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x)[0][:, -1])


class Named(nn.Module):
    """Takes its inputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 4)
        self.out = nn.Linear(4, 3)

    def forward(self, *, word: Tensor, scale: Tensor) -> Tensor:
        return self.out(torch.tanh(self.words(word)) * scale)


def mlp() -> nn.Module:
    # In place, as networks for images have it.
    return nn.Sequential(
        nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 6), nn.ReLU(True), nn.Linear(6, 3)
    )


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(1, 3, 2), nn.BatchNorm1d(3), nn.Dropout(0.3), nn.ReLU(), nn.Flatten(),
        nn.Linear(12, 3),
    )  # fmt: skip


def transformer() -> nn.Module:
    return nn.Sequential(
        nn.Linear(5, 4),
        nn.TransformerEncoderLayer(4, 2, 8, dropout=0.2, batch_first=True),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


# Each module with the shape of its input.
MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron": (mlp, (5,)),
    "convolutional": (convolutional, (1, 5)),
    "transformer": (transformer, (2, 5)),
    "residual": (Residual, (5,)),
    "recurrent": (Recurrent, (3, 5)),
    "named": (Named, ()),
}


def make(name: str) -> tuple[nn.Module, Any]:
    """A module in float64, and inputs of it."""
    torch.manual_seed(0)
    kind, shape = MODULES[name]
    module = kind().double()
    if name == "named":
        return module, {"word": labels(COUNT, classes=10), "scale": numbers(COUNT, 4)}
    return module, numbers(COUNT, *shape) - 0.5


def objective_of(
    module: nn.Module, inputs: Any, loss: Any, targets: Tensor, chunk_size: int = 3
) -> ModuleObjective:
    examples = examples_of((inputs, targets))
    network = Network(module, inputs)
    return ModuleObjective(
        network,
        output_loss(loss),
        {Split.TRAIN: examples, Split.HELDOUT: examples},
        chunk_size,
        Precision.FP32,
        0,
    )


def everything(split: Split = Split.TRAIN) -> Sample:
    return Sample(split, np.arange(COUNT))


def dense(objective: ModuleObjective, inputs: Any, case: Case, split: Split) -> Tensor:
    """J'HJ [n, n] by its definition, H the Hessian of the summed loss by the outputs."""
    network = objective.network

    def outputs(theta: Tensor) -> Tensor:
        # The parts must keep their graph here.
        parts = theta.split([s.stop - s.start for s in network.slices.values()])
        shapes = [leaf.shape for leaf in network.leaves(theta)]
        leaves = [p.view(shape) for p, shape in zip(parts, shapes, strict=True)]
        return network.outputs(leaves, inputs, training=split is Split.TRAIN)

    theta = network.theta()
    jacobian = torch.autograd.functional.jacobian(outputs, theta).reshape(-1, len(theta))
    z = outputs(theta).detach()
    hessian = torch.autograd.functional.hessian(lambda z: reduced(case, z).sum(), z)
    return jacobian.T @ hessian.reshape(z.numel(), z.numel()) @ jacobian
