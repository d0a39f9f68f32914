"""The affine layers that torch.nn.Linear makes, found in any network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn

from asr_hf.curvature.affine import AffineLayer
from asr_hf.models.flat import parameter_slices


def linear_layers(
    network: nn.Module, slices: Mapping[str, slice] | None = None
) -> dict[str, AffineLayer]:
    """Find the layers y = W a + b of a network, each with its bias right behind its weights.

    A layer made without a bias is y = W a. A class derived from torch.nn.Linear with a `forward` of
    its own is none of them, nor is one with a parameter that another layer has first.

    Args:
        network: any module.
        slices: places of parameters in a vector; None for all of them in their order.

    Returns:
        The layers by name, in the order in which they are registered.
    """
    slices = parameter_slices(network) if slices is None else slices
    return {
        name: AffineLayer(
            slices[f"{name}.weight"].start,
            layer.in_features,
            layer.out_features,
            layer.bias is not None,
        )
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear)
        and type(layer).forward is nn.Linear.forward
        and _is_whole(name, layer, slices)
    }


def _is_whole(name: str, layer: nn.Linear, slices: Mapping[str, slice]) -> bool:
    """Say whether the parameters of a layer lie one behind the other in the vector."""
    weight, bias = slices.get(f"{name}.weight"), slices.get(f"{name}.bias")
    if weight is None or layer.bias is None:
        return weight is not None
    return bias is not None and weight.stop == bias.start


def other_parameters(network: nn.Module, layers: Iterable[str]) -> list[str]:
    """Return the names of the parameters that belong to none of the affine layers named."""
    covered = {f"{layer}.{name}" for layer in layers for name in ("weight", "bias")}
    return [name for name, _ in network.named_parameters() if name not in covered]
