"""The affine layers of a network: which there are, their inputs and their outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from asr_hf.curvature.statistic import AffineLayer, OnLayer
from asr_hf.models.flat import FlatModule, parameter_slices
from asr_hf.runtime.errors import InputError


def affine_layers(model: FlatModule) -> list[tuple[str, nn.Linear]]:
    """The layers y = W x + b of a network, by name, each weight side by side with its bias."""
    slices = parameter_slices(model)
    return [
        (name, layer)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear)
        and type(layer).forward is nn.Linear.forward
        and (weight := slices.get(f"{name}.weight"))
        and (bias := slices.get(f"{name}.bias"))
        and weight.stop == bias.start
    ]


def layer_shapes(model: FlatModule) -> tuple[AffineLayer, ...]:
    """The `affine_layers` as an optimiser sees them."""
    slices = parameter_slices(model)
    return tuple(
        AffineLayer(slices[f"{name}.weight"].start, layer.in_features, layer.out_features)
        for name, layer in affine_layers(model)
    )


def other_parameters(model: FlatModule) -> list[str]:
    """Names of the parameters that belong to none of the `affine_layers`."""
    known = {f"{name}.{own}" for name, _ in affine_layers(model) for own in ("weight", "bias")}
    return [name for name, _ in model.named_parameters() if name not in known]


class LayerTap:
    """Shows the inputs of a network's affine layers, and gives their outputs.

    Args:
        model: whose `affine_layers` are looked at.
    """

    def __init__(self, model: FlatModule) -> None:
        self._layers = affine_layers(model)

    @contextmanager
    def tapped(self, on_input: OnLayer) -> Iterator[list[Tensor]]:
        """Tell `on_input` of the inputs of one forward pass, layer by layer.

        Yields:
            The layers' outputs, in the order of the layers; the list is filled at the end.

        Raises:
            InputError: a layer is not used once, on rows, with its output left as it is.
        """
        outputs: list[Tensor] = []
        seen: dict[int, tuple[Tensor, int]] = {}

        def record(place: int, value: Tensor, output: Tensor) -> None:
            a = value.detach()
            if place in seen or a.dim() != 2:
                used = "more than once" if place in seen else f"on an input {list(a.shape)}"
                raise _unknown(self._layers[place][0], f"is used {used}")
            on_input(place, a)
            seen[place] = output, output._version

        handles = [
            layer.register_forward_hook(lambda _m, args, out, p=place: record(p, args[0], out))
            for place, (_, layer) in enumerate(self._layers)
        ]
        try:
            yield outputs
            for place, (name, _) in enumerate(self._layers):
                if place not in seen:
                    raise _unknown(name, "is not used")
                output, version = seen[place]
                if output._version != version:
                    raise _unknown(name, "has its output changed in place")
                outputs.append(output)
        finally:
            for handle in handles:
                handle.remove()


def _unknown(name: str, what: str) -> InputError:
    return InputError(
        f"preconditioner: the layer {name} {what}",
        expected="each torch.nn.Linear used once in a forward pass, on rows [T, inputs]",
        remedy="preconditioner=lbfgs, diagonal or identity, which serve any network",
    )
