"""A model spelled out: what it is made of, for those who need more than its logits.

The R-operator, the exports that write layers, and layer-wise pretraining read descriptions. They
compute from one what `forward` computes, so a description leaves nothing out; dropout is left out,
because it belongs to training, and `forward` drops only what inputs ask for. It has no place yet
for layers of other kinds, such as convolutions: a model that has one describes nothing
(`AcousticModel.describe` returns None). Such a layer will be a field of `DescribedLayer`, in the
order of computation; `Description.perceptron`, `Description.logits` and `asr_hf/kaldi/network.py`
will compute it or refuse it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asr_hf.curvature.r_operator import Activation, Perceptron
from asr_hf.models.normalisation import NormalisationLayer

_FUNCTIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    Activation.SIGMOID: torch.sigmoid,
    Activation.TANH: torch.tanh,
    Activation.RELU: torch.relu,
}


@dataclass(frozen=True)
class Bottleneck:
    """A linear map without a bias between a layer and the rows below it.

    Args:
        linear: the module with W [outputs, len(times) * inputs].
        times: times of the rows below that stand side by side in its input, rising.
    """

    linear: nn.Linear
    times: tuple[int, ...]


@dataclass(frozen=True)
class DescribedLayer:
    """An affine layer, what it sees of the rows below, and what follows it.

    Args:
        linear: the module with W [outputs, len(times) * inputs] and b [outputs].
        times: times of the rows below, or of its bottleneck's rows, that stand side by side in its
            input, relative to its own and rising.
        activation: the non-linearity after it; None after the output layer.
        normaliser: what normalises the activations; None where nothing does.
        bottleneck: what the rows below go through first; None where nothing does.
        bypass: factor of the row below at the layer's own time, which is added last; 0 adds none.
    """

    linear: nn.Linear
    times: tuple[int, ...]
    activation: Activation | None
    normaliser: NormalisationLayer | None = None
    bottleneck: Bottleneck | None = None
    bypass: float = 0.0

    @property
    def context(self) -> tuple[int, int]:
        """Rows below to the left and to the right that a row of the layer depends on."""
        through = (0,) if self.bottleneck is None else self.bottleneck.times
        return -through[0] - self.times[0], through[-1] + self.times[-1]


@dataclass(frozen=True)
class Description:
    """A stack of affine layers over normalised spliced frames, the softmax on top left out.

    The frames before the first one of an utterance repeat it, those after the last one repeat that.
    A model all of whose layers see one time has the spliced rows [F, input_dim] as its inputs.

    Args:
        splice: times of the frames side by side in what `AcousticModel.normalise` takes.
        layers: the layers from the input up, each parameter of the model in one of them.
        shallower: makes a new model of the same kind from the lowest hidden layers, given their
            number, under a fresh output layer; None where layers cannot be trained one by one.
    """

    splice: tuple[int, ...]
    layers: tuple[DescribedLayer, ...]
    shallower: Callable[[int], nn.Module] | None = None

    @property
    def context(self) -> tuple[int, int]:
        """Frames to the left and to the right that an output depends on."""
        reaches = [layer.context for layer in self.layers]
        left, right = (sum(reach[side] for reach in reaches) for side in (0, 1))
        return left - self.splice[0], right + self.splice[-1]

    def perceptron(
        self, parameters: Sequence[Tensor], first_rows: Callable[[Tensor], Tensor]
    ) -> Perceptron | None:
        """Make what the R-operator needs, where the layers are those of a plain perceptron.

        Args:
            parameters: the model's parameters in the order of its flat vector.
            first_rows: the model's normalisation of its inputs.

        Returns:
            The perceptron, or None where the model is none.
        """
        linear = [layer.linear for layer in self.layers]
        in_order = [parameter for layer in linear for parameter in (layer.weight, layer.bias)]
        *below, last = (layer.activation for layer in self.layers)
        normalise = [x.normaliser.linearised for x in self.layers if x.normaliser is not None]
        if (
            any(layer.times != (0,) for layer in self.layers)
            or any(layer.bottleneck or layer.bypass for layer in self.layers)
            or [id(p) for p in parameters] != [id(p) for p in in_order]
            or last is not None
            or self.layers[-1].normaliser is not None
            or len(set(below)) > 1
            or len(normalise) not in (0, len(below))
        ):
            return None
        activation = below[0] if below else Activation.SIGMOID
        if activation is None:
            return None
        weights, biases = [x.weight for x in linear], [x.bias for x in linear]
        return Perceptron(weights, biases, activation, first_rows, normalise)

    def logits(self, features: Tensor, normalise: Callable[[Tensor], Tensor]) -> Tensor:
        """Compute the logits of an utterance as the description says.

        Args:
            features: the utterance's frames [T, D].
            normalise: the model's normalisation of its inputs.

        Returns:
            Logits [T, pdfs].
        """
        left, right = self.context
        times = torch.arange(-left, len(features) + right, device=features.device)
        padded = features[times.clamp(0, len(features) - 1)]
        rows = normalise(shifted(padded, self.splice))
        for layer in self.layers:
            below = rows
            if layer.bottleneck is not None:
                rows = layer.bottleneck.linear(shifted(rows, layer.bottleneck.times))
            rows = layer.linear(shifted(rows, layer.times))
            if layer.activation is not None:
                rows = _FUNCTIONS[layer.activation](rows)
            if layer.normaliser is not None:
                rows = layer.normaliser(rows)
            if layer.bypass:
                rows = rows + layer.bypass * below[layer.context[0] :][: len(rows)]
        return rows


def shifted(rows: Tensor, times: Sequence[int]) -> Tensor:
    """Return rows [T, C] at several times side by side [T - (times[-1] - times[0]), K * C].

    Args:
        rows: the rows of consecutive times.
        times: the K times relative to that of an output, rising.
    """
    length = len(rows) - (times[-1] - times[0])
    return torch.cat([rows[t - times[0] :][:length] for t in times], dim=1)
