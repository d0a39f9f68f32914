"""What every exported form of a network needs: its layers as arrays, input by input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.description import DescribedLayer, Description
from asr_hf.models.normalisation import (
    BatchNormalisation,
    NormalisationLayer,
    RowNormalisation,
)
from asr_hf.runtime.errors import InputError

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Linear:
    """A linear map without a bias, and what it sees of the rows below it.

    Args:
        times: of the rows below that stand side by side in its input, relative to its own.
        weight: [outputs, len(times) * inputs].
    """

    times: tuple[int, ...]
    weight: Floats


@dataclass(frozen=True)
class Layer:
    """An affine layer: what it sees of the layer below, at which times, and what follows.

    Args:
        times: of the rows below, or of the bottleneck's, that stand side by side in its input,
            relative to its own.
        weight: [outputs, len(times) * inputs].
        bias: [outputs].
        activation: sigmoid, relu or tanh; None for the output layer.
        normalisation: what follows the activation: rms (each row over its root mean square), layer
            (the mean of the row taken out first), batch (mean and scale of each unit) or nothing.
        epsilon: what rms and layer add to the mean square.
        mean, scale: [outputs], those of batch.
        bottleneck: what the rows below go through first.
        bypass: factor of the row below at the layer's own time, which is added last.
    """

    times: tuple[int, ...]
    weight: Floats
    bias: Floats
    activation: str | None
    normalisation: str | None = None
    epsilon: float = 0.0
    mean: Floats | None = None
    scale: Floats | None = None
    bottleneck: Linear | None = None
    bypass: float = 0.0

    @property
    def context(self) -> tuple[int, int]:
        """Rows below to the left and to the right that a row of the layer depends on."""
        through = (0,) if self.bottleneck is None else self.bottleneck.times
        return -through[0] - self.times[0], through[-1] + self.times[-1]


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
        context: frames to the left and to the right that an output depends on.
        subsampling: k, where every k-th frame is emitted.
    """

    feature_dim: int
    splice: tuple[int, ...]
    mean: Floats
    scale: Floats
    layers: tuple[Layer, ...]
    log_priors: Floats
    context: tuple[int, int]
    subsampling: int = 1

    @property
    def num_pdfs(self) -> int:
        """Outputs."""
        return len(self.log_priors)


def network_of(model: AcousticModel) -> Network:
    """Return the arrays of a model that describes itself, in single precision.

    Batch normalisation becomes part of the affine layer after it, where nothing else sees its rows.

    Raises:
        InputError: the model does not say what its layers are.
    """
    description = model.description
    if description is None:
        raise InputError(
            f"{type(model).__name__}: no exported form of this kind of model is known",
            expected="a DNN, a TDNN or a TDNNF",
            remedy="asr-hf export loglikes and priors write the scores of any model",
        )
    return Network(
        model.feature_dim,
        description.splice,
        _array(model.input_mean),
        _array(model.input_scale),
        tuple(_layers(description)),
        _array(model.log_priors),
        description.context,
        model.subsampling,
    )


def _layers(description: Description) -> Iterator[Layer]:
    """Yield the layers, each with the batch normalisation below it folded in where that can be."""
    below: BatchNormalisation | None = None
    for described, above in zip(description.layers, [*description.layers[1:], None], strict=True):
        weight, bias = described.linear.weight.detach(), described.linear.bias.detach()
        if below is not None:
            taps = len(described.times)
            scale, mean = below.scale.double().repeat(taps), below.mean.double().repeat(taps)
            weight = weight.double() * scale
            bias = bias.double() - weight @ mean
        layer = Layer(described.times, _array(weight), _array(bias), described.activation)
        if (through := described.bottleneck) is not None:
            layer = replace(layer, bottleneck=Linear(through.times, _array(through.linear.weight)))
        normaliser = described.normaliser
        below = None
        if isinstance(normaliser, BatchNormalisation) and _sees_alone(above, described):
            below = normaliser
        else:
            layer = _normalised(layer, normaliser)
        yield replace(layer, bypass=described.bypass)


def _sees_alone(above: DescribedLayer | None, layer: DescribedLayer) -> bool:
    """Say whether what a layer normalises goes to one map alone, and that has a bias."""
    return above is not None and not (layer.bypass or above.bottleneck or above.bypass)


def _normalised(layer: Layer, normaliser: NormalisationLayer | None) -> Layer:
    """Return a layer with a normalisation of its own."""
    if isinstance(normaliser, RowNormalisation):
        kind = "layer" if normaliser.centred else "rms"
        return replace(layer, normalisation=kind, epsilon=normaliser.epsilon)
    if isinstance(normaliser, BatchNormalisation):
        mean, scale = _array(normaliser.mean), _array(normaliser.scale)
        return replace(layer, normalisation="batch", mean=mean, scale=scale)
    return layer


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().float().cpu().numpy().copy()
