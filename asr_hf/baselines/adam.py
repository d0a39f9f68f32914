"""Adam."""

from __future__ import annotations

from typing import Any

import torch

from asr_hf.baselines.minibatch import MinibatchTrainer


class Adam(MinibatchTrainer):
    """Steps scaled by running moments of the gradient (Kingma & Ba 2015, algorithm 1).

    Args:
        beta1: decay of the mean of gradients, in [0, 1).
        beta2: decay of the mean of their squares, in [0, 1).
        epsilon: added to the root of the second.
        settings: arguments of `MinibatchTrainer`.
    """

    name = "adam"
    state_vectors = 2

    def __init__(
        self,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        **settings: Any,
    ) -> None:
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        super().__init__(**settings)

    def make_update_rule(self) -> torch.optim.Optimizer:
        """Return torch's Adam with a fused kernel."""
        return torch.optim.Adam(
            [self.theta],
            lr=self.learning_rate,
            betas=(self.beta1, self.beta2),
            eps=self.epsilon,
            fused=True,
        )
