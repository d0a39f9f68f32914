"""What every exported form of a network needs: its layers as arrays, input by input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.dnn import DNN
from asr_hf.models.feed_forward import FeedForward
from asr_hf.models.tdnn import TDNN
from asr_hf.runtime.errors import InputError

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Layer:
    """An affine layer: what it sees of the layer below, at which times, and what follows.

    Args:
        times: of the rows below that stand side by side in its input, relative to its own.
        weight: [outputs, len(times) * inputs].
        bias: [outputs].
        activation: sigmoid, relu or tanh; None for the output layer.
    """

    times: tuple[int, ...]
    weight: Floats
    bias: Floats
    activation: str | None


@dataclass(frozen=True)
class Network:
    """A trained acoustic model as arrays.

    The input is spliced at `splice` first, then normalised as (x - mean) * scale; frames before
    the first and after the last of an utterance repeat these.

    Args:
        feature_dim: features of one frame.
        splice: times of the frames side by side in the normalised input.
        mean, scale: [len(splice) * feature_dim].
        layers: from the input up; softmax follows the last one.
        log_priors: [pdfs].
    """

    feature_dim: int
    splice: tuple[int, ...]
    mean: Floats
    scale: Floats
    layers: tuple[Layer, ...]
    log_priors: Floats

    @property
    def num_pdfs(self) -> int:
        """Outputs."""
        return len(self.log_priors)

    @property
    def context(self) -> tuple[int, int]:
        """Frames to the left and to the right that an output depends on."""
        windows = [self.splice, *(layer.times for layer in self.layers)]
        return -sum(times[0] for times in windows), sum(times[-1] for times in windows)


def network_of(model: AcousticModel) -> Network:
    """The arrays of a DNN or TDNN, in single precision.

    Raises:
        InputError: a model of another kind.
    """
    # A class derived from one of these may compute something else.
    if type(model) is DNN:
        splice = tuple(range(-model.left, model.right + 1))
        times: list[tuple[int, ...]] = [(0,)] * len(model.layers)
    elif type(model) is TDNN:
        splice = (0,)
        times = [*map(tuple, model.context), (0,)]
    else:
        raise InputError(
            f"{type(model).__name__}: no exported form of this kind of model is known",
            expected="a DNN or a TDNN",
            remedy="asr-hf export loglikes and priors write the scores of any model",
        )
    return Network(
        model.feature_dim,
        splice,
        _array(model.input_mean),
        _array(model.input_scale),
        _layers(model, times),
        _array(model.log_priors),
    )


def _layers(model: FeedForward, times: list[tuple[int, ...]]) -> tuple[Layer, ...]:
    linear = model.linear_layers()
    activations = [*[model.activation] * (len(linear) - 1), None]
    return tuple(
        Layer(seen, _array(layer.weight), _array(layer.bias), activation)
        for seen, layer, activation in zip(times, linear, activations, strict=True)
    )


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().float().cpu().numpy().copy()
