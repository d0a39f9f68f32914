"""Adam and NAdam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from asr_hf.baselines.minibatch import MinibatchTrainer
from asr_hf.baselines.parameters import ParameterViews, decayed_groups


class AdamW(MinibatchTrainer):
    """Steps scaled by running moments of the gradient (Loshchilov & Hutter 2019, algorithm 2).

    Without weight decay this is Adam (Kingma & Ba 2015, algorithm 1).

    Args:
        beta1: decay of the mean of gradients, in [0, 1).
        beta2: decay of the mean of their squares, in [0, 1).
        epsilon: number added to the root of the second.
        settings: arguments of `MinibatchTrainer`.
    """

    name = "adamw"
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

    def make_optimisers(self, views: ParameterViews) -> list[torch.optim.Optimizer]:
        """Return torch's AdamW with a fused kernel."""
        weights = [*views.hidden, *views.other_weights]
        return [self.fused_adamw(weights, views.biases)]

    def fused_adamw(
        self, weights: Sequence[Tensor], biases: Sequence[Tensor]
    ) -> torch.optim.Optimizer:
        """Return torch's AdamW of some of the parameters.

        Args:
            weights: parameters under weight decay.
            biases: parameters without it.

        Returns:
            The optimiser.
        """
        return torch.optim.AdamW(
            decayed_groups(weights, biases, weight_decay=self.weight_decay),
            lr=self.learning_rate,
            betas=(self.beta1, self.beta2),
            eps=self.epsilon,
            fused=True,
        )


class NAdamW(AdamW):
    """AdamW with Nesterov's momentum (Dozat 2016).

    Args:
        momentum_decay: decay of the momentum's warm-up; larger values end it sooner.
        settings: arguments of `AdamW`.
    """

    name = "nadamw"
    # Torch has no fused kernel; its others need a root of the squares' mean.
    state_vectors = 3

    def __init__(self, *, momentum_decay: float = 0.004, **settings: Any) -> None:
        self.momentum_decay = momentum_decay
        super().__init__(**settings)

    def make_optimisers(self, views: ParameterViews) -> list[torch.optim.Optimizer]:
        """Return torch's NAdam with decoupled weight decay."""
        weights = [*views.hidden, *views.other_weights]
        return [
            torch.optim.NAdam(
                decayed_groups(weights, views.biases, weight_decay=self.weight_decay),
                lr=self.learning_rate,
                betas=(self.beta1, self.beta2),
                eps=self.epsilon,
                momentum_decay=self.momentum_decay,
                decoupled_weight_decay=True,
            )
        ]
