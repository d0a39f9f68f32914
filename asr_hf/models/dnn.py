"""The feed-forward network of hybrid speech recognition (Hinton et al. 2012)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asr_hf.data.splice import splice, splice_at
from asr_hf.data.store import FrameBatch
from asr_hf.models.description import Description
from asr_hf.models.feed_forward import FeedForward


class DNN(FeedForward):
    """Fully connected hidden layers on spliced frames, linear outputs.

    Its inputs [F, input_dim] hold the frames t-left ... t+right of one utterance side by side,
    edge frames repeated.

    Args:
        feature_dim: number of features of one frame.
        num_pdfs: number of outputs.
        hidden_sizes: number of units of each hidden layer, from the input up; none gives softmax
            regression.
        activation: sigmoid, relu or tanh.
        normalisation: none, rms, layer or batch: what follows each activation (see
            `Normalisation`).
        left: number of frames of context before each frame.
        right: number of frames of context after each frame.
        initialisation: glorot, he or sparse (see `models/initialisation.py`).
        seed: seed of the initial weights.

    Raises:
        InputError: an activation, normalisation or initialisation is unknown, or a layer is empty.
    """

    def __init__(
        self,
        *,
        feature_dim: int,
        num_pdfs: int,
        hidden_sizes: Sequence[int],
        activation: str = "sigmoid",
        normalisation: str = "none",
        left: int = 0,
        right: int = 0,
        initialisation: str = "glorot",
        seed: int = 0,
    ) -> None:
        input_dim = (left + 1 + right) * feature_dim
        super().__init__(
            feature_dim=feature_dim,
            num_pdfs=num_pdfs,
            left=left,
            right=right,
            fan_ins=[input_dim, *hidden_sizes],
            hidden_sizes=hidden_sizes,
            input_dim=input_dim,
            activation=activation,
            normalisation=normalisation,
            initialisation=initialisation,
            seed=seed,
        )

    def inputs(self, batch: FrameBatch, index: Tensor | None = None) -> Tensor:
        """Return the spliced frames [F, input_dim] of `batch`, or of those at `index` [F]."""
        if index is None:
            return splice(batch, self.left, self.right, self.flat.dtype)
        return splice_at(batch, index, self.left, self.right, self.flat.dtype)

    def describe(self) -> Description:
        """See `AcousticModel`."""
        splice_times = tuple(range(-self.left, self.right + 1))
        layers = self.described_layers([(0,)] * len(self.layers))
        return Description(splice_times, layers, self.shallower)

    @torch.no_grad()
    def shallower(self, depth: int) -> DNN:
        """Return a network of the lowest `depth` hidden layers under a fresh output layer.

        It shares no memory with this one and has its input normalisation and priors.

        Args:
            depth: number of hidden layers.

        Returns:
            The network, on the same device.
        """
        smaller = DNN(
            feature_dim=self.feature_dim,
            num_pdfs=self.num_pdfs,
            hidden_sizes=self.hidden_sizes[:depth],
            activation=self.activation,
            normalisation=self.normalisation,
            left=self.left,
            right=self.right,
            initialisation=self.initialisation,
            seed=self.seed,
        ).to(self.flat)
        for name, buffer in smaller.named_buffers():
            buffer.copy_(self.get_buffer(name))
        smaller.start_at_priors()
        pairs = zip(smaller.linear_layers()[:depth], self.linear_layers(), strict=False)
        for copy, original in pairs:
            copy.weight.copy_(original.weight)
            copy.bias.copy_(original.bias)
        return smaller

    def forward(self, spliced: Tensor) -> Tensor:
        """Return logits [F, pdfs] of spliced frames [F, input_dim]."""
        activations = self.normalise(spliced)
        for depth in range(len(self.hidden_sizes)):
            activations = self.hidden_outputs(depth, activations)
        logits: Tensor = self.layers[-1](activations)
        return logits
