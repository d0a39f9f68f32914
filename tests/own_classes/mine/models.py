"""A model: hidden layers of equal size that add to what they see."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asr_hf.data.frame_batch import FrameBatch
from asr_hf.data.splice import splice, splice_at
from asr_hf.models.acoustic import AcousticModel


class Residual(AcousticModel):
    """x + s tanh(W x + b) with a scale s for each layer, linear outputs.

    Args:
        feature_dim: features of one frame; given by asr-hf, as are the next and the seed.
        num_pdfs: number of outputs.
        width: units of each hidden layer.
        depth: how many layers.
        context: frames of context on each side.
        seed: of the initial weights.
    """

    def __init__(
        self,
        *,
        feature_dim: int,
        num_pdfs: int,
        width: int,
        depth: int = 2,
        context: int = 1,
        seed: int = 0,
    ) -> None:
        spliced = (2 * context + 1) * feature_dim
        super().__init__(feature_dim, num_pdfs, context, context, spliced)
        # A generator of its own, so that weights follow from the seed alone.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.lowest = nn.Linear(spliced, width)
            self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
            self.output = nn.Linear(width, num_pdfs)
        self.scales = nn.Parameter(torch.ones(depth))

    def inputs(self, batch: FrameBatch, index: Tensor | None = None) -> Tensor:
        """Spliced frames [F, input_dim]."""
        if index is None:
            return splice(batch, self.left, self.right, self.flat.dtype)
        return splice_at(batch, index, self.left, self.right, self.flat.dtype)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits [F, pdfs]."""
        x = torch.tanh(self.lowest(self.normalise(inputs)))
        for layer, scale in zip(self.layers, self.scales, strict=True):
            x = x + scale * torch.tanh(layer(x))
        logits: Tensor = self.output(x)
        return logits

    @torch.no_grad()
    def start_at_priors(self) -> None:
        """Set the output bias so that posteriors of fresh weights start near the priors."""
        self.output.bias.copy_(self.log_priors)
