"""The feed-forward network of hybrid speech recognition (Hinton et al. 2012)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.initialisation import INITIALISATIONS, centring_bias, initialise
from asr_hf.runtime.errors import InputError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "tanh": torch.tanh,
}


class DNN(AcousticModel):
    """Fully connected hidden layers on spliced frames, linear outputs.

    Args:
        feature_dim: features of one frame.
        num_pdfs: number of outputs.
        hidden_sizes: units of each hidden layer, from the input up; none gives softmax regression.
        activation: sigmoid, relu or tanh.
        left: frames of context before each frame.
        right: frames of context after it.
        initialisation: glorot or sparse (see `models/initialisation.py`).
        seed: of the initial weights.

    Raises:
        InputError: an unknown activation or initialisation, or an empty layer.
    """

    def __init__(
        self,
        *,
        feature_dim: int,
        num_pdfs: int,
        hidden_sizes: Sequence[int],
        activation: str = "sigmoid",
        left: int = 0,
        right: int = 0,
        initialisation: str = "glorot",
        seed: int = 0,
    ) -> None:
        super().__init__(feature_dim, num_pdfs, left, right)
        _one_of("activation", activation, ACTIVATIONS)
        _one_of("initialisation", initialisation, INITIALISATIONS)
        if any(size < 1 for size in hidden_sizes):
            raise InputError(
                f"model.hidden_sizes: {list(hidden_sizes)}", expected="sizes of 1 or more"
            )
        self.hidden_sizes = [int(size) for size in hidden_sizes]
        self.activation, self.initialisation, self.seed = activation, initialisation, seed
        sizes = [self.input_dim, *self.hidden_sizes, num_pdfs]
        self.layers = nn.ModuleList(
            # skip_init leaves torch's global random state alone.
            nn.utils.skip_init(nn.Linear, fan_in, fan_out)  # type: ignore[no-untyped-call]
            for fan_in, fan_out in pairwise(sizes)
        )
        generator = Generator().manual_seed(seed)
        initialise(self.linear_layers(), activation, INITIALISATIONS[initialisation], generator)

    def linear_layers(self) -> list[nn.Linear]:
        """Hidden layers from the input up, then the output layer."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def forward(self, spliced: Tensor) -> Tensor:
        """Return logits [F, pdfs] of spliced frames [F, input_dim]."""
        *hidden, output = self.layers
        activate = ACTIVATIONS[self.activation]
        activations = self.normalise(spliced)
        for layer in hidden:
            activations = activate(layer(activations))
        logits: Tensor = output(activations)
        return logits

    @torch.no_grad()
    def start_at_priors(self) -> None:
        """Set the output bias so that posteriors start near `log_priors`.

        For a model with fresh weights: saves the first steps of training, which would do nothing
        but learn the priors.
        """
        output = self.linear_layers()[-1]
        output.bias.copy_(self.log_priors)
        if self.activation == "sigmoid" and self.hidden_sizes:
            output.bias.add_(centring_bias(output.weight))


def _one_of(key: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise InputError(f"model.{key}: unknown: {value!r}", expected=f"one of {sorted(known)}")
