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

    A class derived from torch.nn.Linear with a `forward` of its own is none of them, nor is one
    without a bias or with a parameter that another layer has first.

    Args:
        network: any module.
        slices: places of parameters in a vector; None for all of them in their order.

    Returns:
        The layers by name, in the order in which they are registered.
    """
    slices = parameter_slices(network) if slices is None else slices
    return {
        name: AffineLayer(weight.start, layer.in_features, layer.out_features)
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear)
        and type(layer).forward is nn.Linear.forward
        and (weight := slices.get(f"{name}.weight"))
        and (bias := slices.get(f"{name}.bias"))
        and weight.stop == bias.start
    }


def other_parameters(network: nn.Module, layers: Iterable[str]) -> list[str]:
    """Return the names of the parameters that belong to none of the affine layers named."""
    covered = {f"{layer}.{name}" for layer in layers for name in ("weight", "bias")}
    return [name for name, _ in network.named_parameters() if name not in covered]
