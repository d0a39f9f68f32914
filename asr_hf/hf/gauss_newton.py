"""Gauss-Newton products G v = J'H J v for any differentiable map from parameters to outputs.

Schraudolph (2002) splits the product in a forward derivative J v, the output curvature H and a
backward pass. For J v we differentiate twice: w -> J'w is linear in w, so its own transpose is J.
The graph of J'w is built once and kept, which leaves two backward passes a product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

OutputCurvature = Callable[[Tensor], Tensor]


class ChunkCurvature(Protocol):
    """The curvature of one chunk of a sample."""

    def add_product(self, vector: Tensor, out: Tensor) -> None:
        """Add G v [n] of v [n] to `out` [n]."""
        ...


class KeptDoubleBackward:
    """G = J'H J of one chunk of data, its activations kept for many products.

    Args:
        outputs: the map's value with its graph, any shape.
        parameters: the leaves to differentiate by; entries of v follow their order.
        output_curvature: u -> H u in the shape of `outputs`, symmetric positive semi-definite.
    """

    def __init__(
        self, outputs: Tensor, parameters: Sequence[Tensor], output_curvature: OutputCurvature
    ) -> None:
        self._outputs = outputs
        self._parameters = list(parameters)
        self._output_curvature = output_curvature
        self._dual = torch.zeros_like(outputs, requires_grad=True)
        self._transpose = torch.autograd.grad(
            outputs, self._parameters, self._dual, create_graph=True
        )

    def add_product(self, vector: Tensor, out: Tensor) -> None:
        """Add G v [n] of v [n] to `out` [n]."""
        parts = _split_like(vector, self._parameters)
        (forward,) = torch.autograd.grad(self._transpose, self._dual, parts, retain_graph=True)
        backward = torch.autograd.grad(
            self._outputs, self._parameters, self._output_curvature(forward), retain_graph=True
        )
        for target, part in zip(_split_like(out, self._parameters), backward, strict=True):
            target.add_(part)


def _split_like(vector: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    pieces = torch.split(vector, [p.numel() for p in parameters])
    return [piece.view(p.shape) for piece, p in zip(pieces, parameters, strict=True)]


class SummedCurvature:
    """The curvature of a sample that is held in several chunks.

    Args:
        chunks: one operator a chunk.
        frames: frames of the whole sample.
        on_product: called after each product, for work counters.
    """

    def __init__(
        self,
        chunks: Sequence[ChunkCurvature],
        frames: int,
        on_product: Callable[[int], None],
    ) -> None:
        self.frames = frames
        self._chunks = chunks
        self._on_product = on_product

    def product(self, vector: Tensor) -> Tensor:
        """Return G v [n], summed over the sample's frames."""
        out = torch.zeros_like(vector)
        for chunk in self._chunks:
            chunk.add_product(vector, out)
        self._on_product(self.frames)
        return out
