"""Second moments of layer inputs and output gradients, for Kronecker-factored curvature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from asr_hf.hf.objective import KroneckerSums
from asr_hf.models.flat import FlatModule, parameter_slices


class LayerMoments:
    """Adds up (a, 1)(a, 1)' and gg' of every linear layer over chunks of frames.

    A layer may have more rows than there are frames, as those of a convolution over time do. Its
    Fisher block per frame is then taken as mean over rows of (a, 1)(a, 1)' ⊗ sum over rows of
    gg' per frame: inputs independent of gradients, gradients uncorrelated between rows (Grosse &
    Martens 2016, theorem 1). Rows that no output uses count among the inputs, with g = 0.

    Args:
        model: whose `nn.Linear` layers are looked at.
    """

    def __init__(self, model: FlatModule) -> None:
        slices = parameter_slices(model)
        self._layers = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)]
        self._starts = [slices[f"{name}.weight"].start for name, _ in self._layers]
        self._inputs = [_zeros(m.weight, m.in_features + 1) for _, m in self._layers]
        self._outputs = [_zeros(m.weight, m.out_features) for _, m in self._layers]
        self._frames = 0

    @contextmanager
    def recorded(self) -> Iterator[list[Tensor]]:
        """Take in the inputs of a forward pass; yields the layers' outputs, filled by it."""
        outputs: list[Tensor] = []

        def record(place: int, value: Tensor, output: Tensor) -> None:
            a = value.detach()
            total, corner = self._inputs[place], a.shape[1]
            total[:corner, :corner].addmm_(a.T, a)
            sums = a.sum(0)
            total[corner, :corner] += sums
            total[:corner, corner] += sums
            total[corner, corner] += len(a)
            outputs.append(output)

        handles = [
            layer.register_forward_hook(lambda _m, args, out, p=place: record(p, args[0], out))
            for place, (_, layer) in enumerate(self._layers)
        ]
        try:
            yield outputs
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


def _zeros(like: Tensor, size: int) -> Tensor:
    return torch.zeros(size, size, dtype=like.dtype, device=like.device)
