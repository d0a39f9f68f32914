"""Second moments of layer inputs and output gradients, for Kronecker-factored curvature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from asr_hf.hf.objective import KroneckerSums
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


def other_parameters(model: FlatModule) -> list[str]:
    """Names of the parameters that belong to none of the `affine_layers`."""
    known = {f"{name}.{own}" for name, _ in affine_layers(model) for own in ("weight", "bias")}
    return [name for name, _ in model.named_parameters() if name not in known]


class LayerMoments:
    """Adds up (a, 1)(a, 1)' and gg' of every linear layer over chunks of frames.

    A layer may have more rows than there are frames, as those of a convolution over time do. Its
    Fisher block per frame is then taken as mean over rows of (a, 1)(a, 1)' ⊗ sum over rows of
    gg' per frame: inputs independent of gradients, gradients uncorrelated between rows (Grosse &
    Martens 2016, theorem 1). Rows that no output uses count among the inputs, with g = 0.

    Args:
        model: whose `affine_layers` are looked at.
    """

    def __init__(self, model: FlatModule) -> None:
        slices = parameter_slices(model)
        self._layers = affine_layers(model)
        self._starts = [slices[f"{name}.weight"].start for name, _ in self._layers]
        self._inputs = [_zeros(m.weight, m.in_features + 1) for _, m in self._layers]
        self._outputs = [_zeros(m.weight, m.out_features) for _, m in self._layers]
        self._frames = 0

    @contextmanager
    def recorded(self) -> Iterator[list[Tensor]]:
        """Take in the inputs of a forward pass; yields the layers' outputs, filled at its end.

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
            total, corner = self._inputs[place], a.shape[1]
            total[:corner, :corner].addmm_(a.T, a)
            sums = a.sum(0)
            total[corner, :corner] += sums
            total[:corner, corner] += sums
            total[corner, corner] += len(a)
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

    def add(self, gradients: Sequence[Tensor], frames: int) -> None:
        """Take in the gradients [rows, out] at the layers' outputs in the recorded pass.

        Args:
            gradients: of the loss summed over the pass's frames, layer by layer.
            frames: how many frames those are.
        """
        for total, g in zip(self._outputs, gradients, strict=True):
            total.addmm_(g.T, g)
        self._frames += frames

    def sums(self) -> list[KroneckerSums]:
        """All that was taken in."""
        return [
            KroneckerSums(start, a, g, self._frames)
            for start, a, g in zip(self._starts, self._inputs, self._outputs, strict=True)
        ]


def _unknown(name: str, what: str) -> InputError:
    return InputError(
        f"preconditioner: K-FAC: the layer {name} {what}",
        expected="each torch.nn.Linear used once in a forward pass, on rows [T, inputs]",
        remedy="preconditioner=lbfgs, diagonal or identity, which serve any network",
    )


def _zeros(like: Tensor, size: int) -> Tensor:
    return torch.zeros(size, size, dtype=like.dtype, device=like.device)
