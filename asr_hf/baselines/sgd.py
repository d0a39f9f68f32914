"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import Any

import torch

from asr_hf.baselines.minibatch import MinibatchTrainer


class SGD(MinibatchTrainer):
    """v <- μ v + g, θ <- θ - ε v; Nesterov's form steps by g + μ v (Sutskever et al. 2013).

    Args:
        momentum: μ in [0, 1).
        nesterov: whether to use Nesterov's form.
        settings: arguments of `MinibatchTrainer`.
    """

    name = "sgd"
    state_vectors = 1

    def __init__(self, *, momentum: float = 0.9, nesterov: bool = False, **settings: Any) -> None:
        self.momentum, self.nesterov = momentum, nesterov
        super().__init__(**settings)

    def make_update_rule(self) -> torch.optim.Optimizer:
        """Return torch's SGD with a fused kernel."""
        return torch.optim.SGD(
            [self.theta],
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            fused=True,
        )
