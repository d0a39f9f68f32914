"""The base of the networks: linear layers with an activation between any two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor, nn

from asr_hf.curvature.normalisation import Normalisation
from asr_hf.curvature.r_operator import Activation
from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.description import DescribedLayer
from asr_hf.models.dropout import Dropout
from asr_hf.models.initialisation import INITIALISATIONS, centring_bias, initialise
from asr_hf.models.normalisation import NormalisationLayer, batch_layers, normalisation_layer
from asr_hf.runtime.errors import InputError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "tanh": torch.tanh,
}
# Frames and taps of a window; more would take long to work out.
MAX_FRAMES = 1000


class FeedForward(AcousticModel):
    """A stack of linear layers, the last one linear in its output.

    Args:
        feature_dim: number of features of one frame.
        num_pdfs: number of outputs.
        left: number of frames of context before each frame.
        right: number of frames of context after each frame.
        fan_ins: number of inputs of each layer, from the lowest hidden layer to the output layer.
        hidden_sizes: number of units of each hidden layer; one fewer than `fan_ins`.
        input_dim: number of columns of the rows that are normalised before the lowest layer.
        activation: sigmoid, relu or tanh.
        normalisation: none, rms, layer or batch: what follows each activation (see
            `Normalisation`).
        dropout: share of each hidden layer's outputs that training drops (see `Dropout`).
        subsampling: k, where every k-th frame is emitted in decoding and over lattices.
        initialisation: glorot, he or sparse (see `models/initialisation.py`).
        seed: seed of the initial weights.

    Raises:
        InputError: an activation, normalisation or initialisation is unknown, a layer is empty, the
            dropout is no share, or the subsampling is none.
    """

    def __init__(
        self,
        *,
        feature_dim: int,
        num_pdfs: int,
        left: int,
        right: int,
        fan_ins: Sequence[int],
        hidden_sizes: Sequence[int],
        input_dim: int,
        activation: str,
        normalisation: str,
        dropout: float,
        subsampling: int,
        initialisation: str,
        seed: int,
    ) -> None:
        super().__init__(feature_dim, num_pdfs, left, right, input_dim)
        _one_of("activation", activation, ACTIVATIONS)
        _one_of("normalisation", normalisation, [kind.value for kind in Normalisation])
        _one_of("initialisation", initialisation, INITIALISATIONS)
        if any(size < 1 for size in hidden_sizes):
            raise InputError(
                f"model.hidden_sizes: {list(hidden_sizes)}", expected="sizes of 1 or more"
            )
        if subsampling < 1:
            raise InputError(f"model.subsampling={subsampling}", expected="1 or more")
        self.subsampling = subsampling
        self.hidden_sizes = [int(size) for size in hidden_sizes]
        self.activation, self.initialisation, self.seed = activation, initialisation, seed
        self.normalisation = Normalisation(normalisation)
        self._dropout = Dropout(dropout, max(self.hidden_sizes, default=1))
        self.dropout = self._dropout.rate
        self.layers = nn.ModuleList(
            # skip_init leaves torch's global random state alone.
            nn.utils.skip_init(nn.Linear, fan_in, fan_out)  # type: ignore[no-untyped-call]
            for fan_in, fan_out in zip(fan_ins, [*self.hidden_sizes, num_pdfs], strict=True)
        )
        # Empty where nothing is normalised.
        self.normalisers = nn.ModuleList(
            normalisation_layer(self.normalisation, size)
            for size in self.hidden_sizes
            if self.normalisation is not Normalisation.NONE
        )
        generator = Generator().manual_seed(seed)
        initialise(
            self.linear_layers(),
            activation,
            INITIALISATIONS[initialisation],
            generator,
            self.normalisation,
        )

    @classmethod
    def check_size(
        cls, settings: Mapping[str, Any], feature_dim: int, num_pdfs: int, parameters: int
    ) -> None:
        """Refuse weight matrices that are larger than all parameters, and very wide windows.

        See `AcousticModel` for the arguments.

        Raises:
            ValueError: a matrix or a window is too large.
        """
        hidden, context = settings["hidden_sizes"], settings.get("context", [])
        repeated = hidden if len(context) > len(hidden) else []
        sizes = [feature_dim, *hidden, *repeated, num_pdfs]
        if min(sizes) < 1 or any(a * b > parameters for a, b in pairwise(sizes)):
            raise ValueError(f"layers of {str(sizes)[:80]} in {parameters} parameters")
        windows = [max(times, default=0) - min(times, default=0) for times in context]
        frames = [settings.get("left", 0), settings.get("right", 0), sum(windows)]
        if min(frames) < 0 or max(*frames, sum(map(len, context))) > MAX_FRAMES:
            raise ValueError(f"frames of context {str(frames)[:80]}")

    def linear_layers(self) -> list[nn.Linear]:
        """Return the hidden layers from the input up, then the output layer."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def hidden_outputs(
        self,
        depth: int,
        below: Tensor,
        used: Tensor | None = None,
        draws: Tensor | None = None,
    ) -> Tensor:
        """Compute the outputs of a hidden layer, normalised where the model does that.

        Args:
            depth: number of the hidden layer, from 0.
            below: rows that it sees [T, inputs].
            used: whether a logit depends on a row [T]; None where one does on each.
            draws: random number of each row [T], by which units are dropped; None drops none.

        Returns:
            Rows [T, units].
        """
        outputs = ACTIVATIONS[self.activation](self.layers[depth](below))
        if self.normalisers:
            outputs = self.normalisers[depth](outputs, used)
        return outputs if draws is None else outputs * self.mask(depth, draws, outputs)

    def mask(self, depth: int, draws: Tensor, like: Tensor) -> Tensor:
        """Return the factors [T, units] that dropout puts to the outputs of a hidden layer.

        Args:
            depth: number of the hidden layer, from 0.
            draws: random number of each row [T].
            like: a tensor whose type the factors get.
        """
        return self._dropout.mask(draws, self.hidden_sizes[depth], like)

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """See `FlatModule`.

        Raises:
            ValueError: a tensor does not fit, or a mean or variance cannot be one.
        """
        super().load_state_tensors(tensors)
        for name, layer in batch_layers(self).items():
            statistics = torch.stack([layer.mean, layer.variance])
            if not bool(torch.isfinite(statistics).all()) or bool((layer.variance < 0).any()):
                raise ValueError(f"{name}: a mean is not finite, or a variance negative or not")
            if int(layer.renewals) < 0:
                raise ValueError(f"{name}.renewals: {int(layer.renewals)}, expected 0 or more")

    def described_layers(self, times: Sequence[tuple[int, ...]]) -> tuple[DescribedLayer, ...]:
        """Return the layers for a `Description`, given the times that each sees below it."""
        linear = self.linear_layers()
        activations = [*[Activation(self.activation)] * (len(linear) - 1), None]
        normalisers: list[NormalisationLayer | None] = [None] * len(linear)
        for depth, layer in enumerate(self.normalisers):
            assert isinstance(layer, NormalisationLayer)
            normalisers[depth] = layer
        return tuple(
            DescribedLayer(*parts)
            for parts in zip(linear, times, activations, normalisers, strict=True)
        )

    @torch.no_grad()
    def start_at_priors(self) -> None:
        """Set the output bias so that posteriors start near `log_priors`.

        For a model with fresh weights: saves the first steps of training, which would do nothing
        but learn the priors.
        """
        output = self.linear_layers()[-1]
        output.bias.copy_(self.log_priors)
        if self.activation == "sigmoid" and self.hidden_sizes:
            output.bias.add_(centring_bias(output.weight, self.normalisation))

    @torch.no_grad()
    def drop_priors(self) -> None:
        """See `AcousticModel`: the output bias loses them."""
        self.linear_layers()[-1].bias.sub_(self.log_priors)
        super().drop_priors()


def _one_of(key: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise InputError(f"model.{key}: unknown: {value!r}", expected=f"one of {sorted(known)}")
