"""Muon for the weight matrices of hidden layers, AdamW for all other parameters."""

from __future__ import annotations

from typing import Any

import torch

from asr_hf.baselines.adamw import AdamW
from asr_hf.baselines.orthogonal import muon_class
from asr_hf.baselines.parameters import ParameterViews


class Muon(AdamW):
    """Orthogonalised momentum (Jordan et al. 2024), scaled to AdamW's steps (Liu et al. 2025).

    The momentum of each hidden layer's weight matrix is brought near the closest matrix with
    orthonormal rows or columns by Newton-Schulz steps, in bfloat16 where that is faster. Scaled by
    0.2 √max(rows, columns), its entries are as large as AdamW's, so that one learning rate and one
    weight decay serve both. AdamW has the output layer, the biases, and weights that are no
    matrices.

    Args:
        momentum: decay of the mean of gradients of the matrices, in [0, 1).
        nesterov: whether to use Nesterov's form.
        newton_schulz_steps: number of Newton-Schulz steps.
        settings: arguments of `AdamW`.
    """

    name = "muon"
    # Adam's two for what Muon leaves, one for the rest; and a matrix in three forms on the way.
    state_vectors = 3

    def __init__(
        self,
        *,
        momentum: float = 0.95,
        nesterov: bool = True,
        newton_schulz_steps: int = 5,
        **settings: Any,
    ) -> None:
        self.momentum, self.nesterov = momentum, nesterov
        self.newton_schulz_steps = newton_schulz_steps
        super().__init__(**settings)

    def make_optimisers(self, views: ParameterViews) -> list[torch.optim.Optimizer]:
        """Return torch's Muon of the hidden matrices, if there are any, and its AdamW."""
        adamw = self.fused_adamw(views.other_weights, views.biases)
        if not views.hidden:
            return [adamw]
        muon = muon_class(views.hidden[0].device)(
            views.hidden,
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            nesterov=self.nesterov,
            ns_steps=self.newton_schulz_steps,
            adjust_lr_fn="match_rms_adamw",
        )
        return [muon, adamw]
