"""Affine layers of a network: where they lie in θ, their inputs and their outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asr_hf.runtime.errors import InputError

# Takes the number of a layer and a tensor with its rows.
OnLayer = Callable[[int, Tensor], None]


@dataclass(frozen=True)
class AffineLayer:
    """A layer y = W a + b of a network, or y = W a.

    Args:
        start: place in θ where W [out, in] begins; b [out] follows it.
        inputs: length of a.
        outputs: length of y.
        bias: whether there is a b.
    """

    start: int
    inputs: int
    outputs: int
    bias: bool = True

    @property
    def columns(self) -> int:
        """Number of columns of [W b]."""
        return self.inputs + self.bias

    def views(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parts W [out, in] and b [out], or [0] without one, of a vector as views."""
        middle = self.start + self.outputs * self.inputs
        weight = vector[self.start : middle].view(self.outputs, self.inputs)
        return weight, vector[middle : middle + self.outputs * self.bias]

    def matrix(self, vector: Tensor) -> Tensor:
        """Return the part [W b] of a vector [n], [out, columns]."""
        weight, bias = self.views(vector)
        return torch.cat([weight, bias[:, None]], dim=1) if self.bias else weight


class LayerTap:
    """Shows the inputs of a network's affine layers and gives their outputs.

    Args:
        layers: the layers by name, numbered in this order.
    """

    def __init__(self, layers: Mapping[str, nn.Module]) -> None:
        self._layers = list(layers.items())

    @contextmanager
    def tapped(self, on_input: OnLayer) -> Iterator[list[Tensor]]:
        """Tell `on_input` the inputs of one forward pass, layer by layer.

        Args:
            on_input: called with a layer's number and its input [rows, in].

        Yields:
            The layers' outputs, in the order of the layers; the list is filled at the end.

        Raises:
            InputError: a layer is not used exactly once on rows, or its output is changed in
                place.
        """
        outputs: list[Tensor] = []
        seen: dict[int, tuple[Tensor, int]] = {}

        def record(number: int, value: Tensor, output: Tensor) -> None:
            a = value.detach()
            if number in seen or a.dim() != 2:
                used = "more than once" if number in seen else f"on an input {list(a.shape)}"
                raise _unknown(self._layers[number][0], f"is used {used}")
            on_input(number, a)
            seen[number] = output, output._version

        handles = [
            layer.register_forward_hook(lambda _m, args, out, n=number: record(n, args[0], out))
            for number, (_, layer) in enumerate(self._layers)
        ]
        try:
            yield outputs
            for number, (name, _) in enumerate(self._layers):
                if number not in seen:
                    problem = _unknown(name, "is not used")
                    raise problem
                output, version = seen[number]
                if output._version != version:
                    problem = _unknown(name, "has its output changed in place")
                    raise problem
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
