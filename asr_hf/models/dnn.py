"""The feed-forward network of hybrid speech recognition (Hinton et al. 2012)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from asr_hf.curvature.r_operator import Perceptron
from asr_hf.data.frame_batch import FrameBatch
from asr_hf.data.splice import splice, splice_at
from asr_hf.models.description import Description
from asr_hf.models.dropout import DrawnRows
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
        dropout: share of each hidden layer's outputs that training drops (see `Dropout`).
        subsampling: k, where every k-th frame is emitted in decoding and over lattices.
        left: number of frames of context before each frame.
        right: number of frames of context after each frame.
        initialisation: glorot, he or sparse (see `models/initialisation.py`).
        seed: seed of the initial weights.

    Raises:
        InputError: an activation, normalisation or initialisation is unknown, a layer is empty, or
            the dropout is no share.
    """

    def __init__(
        self,
        *,
        feature_dim: int,
        num_pdfs: int,
        hidden_sizes: Sequence[int],
        activation: str = "sigmoid",
        normalisation: str = "none",
        dropout: float = 0.0,
        subsampling: int = 1,
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
            dropout=dropout,
            subsampling=subsampling,
            initialisation=initialisation,
            seed=seed,
        )

    def inputs(self, batch: FrameBatch, index: Tensor | None = None) -> Tensor | DrawnRows:
        """Return the spliced frames [F, input_dim] of `batch`, or of those at `index` [F]."""
        if index is None:
            rows = splice(batch, self.left, self.right, self.flat.dtype)
        else:
            rows = splice_at(batch, index, self.left, self.right, self.flat.dtype)
        if batch.draws is None or not self.dropout:
            return rows
        frames = torch.arange(len(rows), device=rows.device) if index is None else index
        layers = range(len(self.hidden_sizes))
        return DrawnRows(rows, tuple(batch.draws.at(frames, depth) for depth in layers))

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
            dropout=self.dropout,
            subsampling=self.subsampling,
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

    def perceptron(self) -> Perceptron | None:
        """See `AcousticModel`; with the masks of dropout."""
        plain = super().perceptron()
        if plain is None or not self.dropout:
            return plain

        def first_rows(inputs: Tensor | DrawnRows) -> Tensor:
            return self.normalise(_parts(inputs)[0])

        return replace(plain, first_rows=first_rows, masks=self._masks)

    def _masks(self, inputs: Tensor | DrawnRows) -> list[Tensor]:
        """Return the factors of the hidden layers' outputs, from the input up."""
        rows, draws = _parts(inputs)
        return [self.mask(depth, drawn, rows) for depth, drawn in enumerate(draws)]

    def forward(self, inputs: Tensor | DrawnRows) -> Tensor:
        """Return logits [F, pdfs] of spliced frames [F, input_dim]."""
        rows, draws = _parts(inputs)
        activations = self.normalise(rows)
        for depth in range(len(self.hidden_sizes)):
            drawn = draws[depth] if draws else None
            activations = self.hidden_outputs(depth, activations, draws=drawn)
        logits: Tensor = self.layers[-1](activations)
        return logits


def _parts(inputs: Tensor | DrawnRows) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the rows, and the random numbers of each hidden layer; none without dropout."""
    return (inputs.rows, inputs.draws) if isinstance(inputs, DrawnRows) else (inputs, ())
