"""Initial weights, drawn from an explicit generator.

A sigmoid is a tanh in disguise, sigmoid(z) = ½ + ½ tanh(z/2). So weights are drawn for tanh
units and then rewritten: a layer that feeds sigmoids is doubled, a layer fed by sigmoids doubled
again with the mean ½ taken out through the bias. A sigmoid network starts as exactly the function
that the tanh network of the same seed computes. Normalised sigmoids have the scale of a tanh
already: the weights that they feed are not doubled for it, and they have a mean to take out, of
about 1, after `rms` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from asr_hf.curvature.normalisation import Normalisation

SPARSE_FAN_IN = 15  # Martens (2010), section 5

Draw = Callable[[tuple[int, int], float, Generator], Tensor]


def glorot(shape: tuple[int, int], gain: float, generator: Generator) -> Tensor:
    """Draw uniform weights of variance 2 gain² / (in + out) (Glorot & Bengio 2010, equation 16).

    Args:
        shape: (out, in).
        gain: factor of the standard deviation.
        generator: source of the random numbers.

    Returns:
        Weights [out, in].
    """
    fan_out, fan_in = shape
    bound = gain * math.sqrt(6.0 / (fan_in + fan_out))
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def he(shape: tuple[int, int], gain: float, generator: Generator) -> Tensor:
    """Draw normal weights of variance gain² / in (He et al. 2015, equation 10).

    Args:
        shape: (out, in).
        gain: factor of the standard deviation.
        generator: source of the random numbers.

    Returns:
        Weights [out, in].
    """
    return torch.randn(shape, generator=generator) * (gain / math.sqrt(shape[1]))


def sparse(shape: tuple[int, int], gain: float, generator: Generator) -> Tensor:
    """Draw 15 incoming normal weights for each unit, the others zero (Martens 2010).

    Their variance is gain² / 15, which between sigmoid layers comes to his standard normal ones
    (16/15) after the rewriting above.

    Args:
        shape: (out, in).
        gain: factor of the standard deviation.
        generator: source of the random numbers.

    Returns:
        Weights [out, in].
    """
    fan_out, fan_in = shape
    count = min(SPARSE_FAN_IN, fan_in)
    chosen = torch.rand(shape, generator=generator).topk(count, dim=1).indices
    values = torch.randn((fan_out, count), generator=generator) * (gain / math.sqrt(count))
    return torch.zeros(shape).scatter_(1, chosen, values)


INITIALISATIONS: dict[str, Draw] = {"glorot": glorot, "he": he, "sparse": sparse}
# The mean of a sigmoid unit of fresh weights, as the layer above sees it.
_SIGMOID_MEAN = {
    Normalisation.NONE: 0.5,
    Normalisation.RMS: 1.0,
    Normalisation.LAYER: 0.0,
    Normalisation.BATCH: 0.0,
}


@torch.no_grad()
def initialise(
    layers: Sequence[nn.Linear],
    activation: str,
    draw: Draw,
    generator: Generator,
    normalisation: Normalisation = Normalisation.NONE,
) -> None:
    """Draw the weights of a stack of layers in which `activation` stands between any two.

    The gain is 1, or √2 before ReLU, which passes half of the variance (He et al. 2015). The last
    layer always gets Glorot weights: large sparse ones would start the posteriors far from any
    prior. Biases are zero but for the centring of sigmoids.

    Args:
        layers: the layers from the input up, which are overwritten.
        activation: sigmoid, relu or tanh.
        draw: draws the weights of all layers but the last.
        generator: source of the random numbers.
        normalisation: what follows each activation.
    """
    plain = normalisation is Normalisation.NONE
    for depth, layer in enumerate(layers):
        shape = (layer.out_features, layer.in_features)
        feeds, is_fed = depth < len(layers) - 1, depth > 0
        if feeds:
            weight = draw(shape, math.sqrt(2.0) if activation == "relu" else 1.0, generator)
        else:
            weight = glorot(shape, 1.0, generator)
        layer.bias.zero_()
        if activation == "sigmoid":
            weight *= (2.0 if feeds else 1.0) * (2.0 if is_fed and plain else 1.0)
            if is_fed:
                layer.bias.copy_(centring_bias(weight, normalisation))
        layer.weight.copy_(weight)


def centring_bias(weight: Tensor, normalisation: Normalisation = Normalisation.NONE) -> Tensor:
    """Compute the bias that takes the mean of sigmoid inputs out.

    Args:
        weight: weights [out, in].
        normalisation: what follows the sigmoids.

    Returns:
        The bias [out].
    """
    return weight.sum(dim=1).mul(-_SIGMOID_MEAN[normalisation])


def orthonormal_maps(
    sizes: Sequence[int], fan_ins: Sequence[int], generator: Generator
) -> nn.ModuleList:
    """Make linear maps without biases whose weights have orthonormal rows (Saxe et al. 2014).

    Args:
        sizes: number of outputs of each map.
        fan_ins: number of inputs of each map, no less than of its outputs.
        generator: source of the random numbers.

    Returns:
        The maps.
    """
    maps = nn.ModuleList()
    for size, fan_in in zip(sizes, fan_ins, strict=True):
        layer = nn.utils.skip_init(nn.Linear, fan_in, size, bias=False)  # type: ignore[no-untyped-call]
        nn.init.orthogonal_(layer.weight, generator=generator)
        maps.append(layer)
    return maps
