"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import Any

import torch

from asr_hf.baselines.minibatch import MinibatchTrainer
from asr_hf.baselines.parameters import ParameterViews, decayed_groups
from asr_hf.runtime.errors import InputError


class SGD(MinibatchTrainer):
    """v <- μ v + g, θ <- θ - ε v; Nesterov's form steps by g + μ v (Sutskever et al. 2013).

    Args:
        momentum: μ in [0, 1).
        nesterov: whether to use Nesterov's form.
        settings: arguments of `MinibatchTrainer`.

    Raises:
        InputError: Nesterov's form without momentum.
    """

    name = "sgd"
    state_vectors = 1

    def __init__(self, *, momentum: float = 0.9, nesterov: bool = False, **settings: Any) -> None:
        if nesterov and momentum <= 0.0:
            raise InputError(
                f"trainer: nesterov with momentum {momentum}",
                expected="a momentum above 0",
                remedy="trainer.nesterov=false",
            )
        self.momentum, self.nesterov = momentum, nesterov
        super().__init__(**settings)

    def make_optimisers(self, views: ParameterViews) -> list[torch.optim.Optimizer]:
        """Return torch's SGD with a fused kernel, and with decoupled weight decay."""
        weights = [*views.hidden, *views.other_weights]
        return [
            _DecoupledSGD(
                decayed_groups(weights, views.biases, decoupled_weight_decay=self.weight_decay),
                lr=self.learning_rate,
                momentum=self.momentum,
                nesterov=self.nesterov,
                fused=True,
            )
        ]


class _DecoupledSGD(torch.optim.SGD):
    """Torch's SGD, whose own weight decay would go through the momentum."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            shrink = 1.0 - group["lr"] * group["decoupled_weight_decay"]
            if shrink != 1.0:
                for parameter in group["params"]:
                    parameter.mul_(shrink)
        return super().step(closure)
