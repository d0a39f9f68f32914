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

from asr_hf.curvature.cuda_graph import RecordedProduct, Recorder
from asr_hf.curvature.precision import Precision, matrix_arithmetic


class OutputCurvature(Protocol):
    """A symmetric positive semi-definite matrix over the outputs, one block a frame."""

    def __call__(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return H u [F, C] of u [F, C], in `out` if given; `out` may be `vector` itself."""
        ...


class ChunkCurvature(Protocol):
    """The curvature of one chunk of a sample.

    Attributes:
        replays: whether its products may be recorded and replayed (see `RecordedProduct`).
    """

    replays: bool

    def add_product(self, vector: Tensor, out: Tensor) -> None:
        """Add G v [n] of v [n] to `out` [n]."""
        ...


class KeptDoubleBackward:
    """G = J'H J of one chunk of data, its activations kept for many products.

    Args:
        outputs: the map's value with its graph, of any shape.
        parameters: the leaves to differentiate by, in the order of the entries of v.
        output_curvature: u -> H u in the shape of `outputs`, symmetric positive semi-definite.
    """

    # Its backward passes run where the graph was built, outside of any recording.
    replays = False

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


class NarrowedChunk:
    """A chunk whose products are computed in a lower precision and added up in full.

    Args:
        inner: the chunk in the lower precision.
        vector: buffer for a vector [n] of that precision; chunks that work in turn share it.
        product: buffer for a product [n] of that precision, shared in the same way.
    """

    def __init__(self, inner: ChunkCurvature, vector: Tensor, product: Tensor) -> None:
        self._inner, self._vector, self._product = inner, vector, product
        self.replays = inner.replays

    def add_product(self, vector: Tensor, out: Tensor) -> None:
        """Add G v [n] of v [n] to `out` [n]."""
        self._vector.copy_(vector)
        self._inner.add_product(self._vector, self._product.zero_())
        out.add_(self._product)


class SampleCurvature:
    """The curvature of a sample that goes through the network in chunks.

    Args:
        make: makes the curvature of a chunk, given its number and the precision.
        chunks: number of chunks.
        num_frames: number of frames of the whole sample.
        on_product: called with `num_frames` after each product, for work counters.
        precision: precision of the products.
        kept: number of chunks that keep their activations; the others are made anew for each
            product, which costs a forward pass and saves memory. None keeps all.
        record: makes replays of products, where all chunks are kept and allow it; None computes
            each product anew.
    """

    def __init__(
        self,
        make: Callable[[int, Precision], ChunkCurvature],
        chunks: int,
        num_frames: int,
        on_product: Callable[[int], None],
        precision: Precision = Precision.FP32,
        kept: int | None = None,
        record: Recorder | None = None,
    ) -> None:
        self._record = record
        self.num_frames, self.precision = num_frames, precision
        self._make, self._count, self._on_product = make, chunks, on_product
        self._kept: list[ChunkCurvature] = []
        self._keep(chunks if kept is None else min(kept, chunks))

    def _keep(self, count: int) -> None:
        self._recorded: RecordedProduct | None = None
        self._kept.clear()
        with matrix_arithmetic(self.precision):
            self._kept.extend(self._make(place, self.precision) for place in range(count))

    def product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v [n], summed over the sample's frames, in `out` if given."""
        return self._product(vector, out, self.precision, self._kept)

    def exact_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v [n] in full precision, in `out` if given."""
        kept = self._kept if self.precision is Precision.FP32 else []
        return self._product(vector, out, Precision.FP32, kept)

    def raise_precision(self) -> None:
        """Compute products in the next higher precision from now on."""
        if self.precision is not Precision.FP32:
            self.precision = self.precision.higher
            self._keep(len(self._kept))

    def _product(
        self,
        vector: Tensor,
        out: Tensor | None,
        precision: Precision,
        kept: Sequence[ChunkCurvature],
    ) -> Tensor:
        out = torch.empty_like(vector) if out is None else out
        with matrix_arithmetic(precision):
            if self._record and len(kept) == self._count and all(c.replays for c in kept):
                self._replayed(vector, out, self._record)
            else:
                self._sum(vector, out, precision, kept)
        self._on_product(self.num_frames)
        return out

    def _sum(
        self, vector: Tensor, out: Tensor, precision: Precision, kept: Sequence[ChunkCurvature]
    ) -> None:
        out.zero_()
        for place in range(self._count):
            chunk = kept[place] if place < len(kept) else self._make(place, precision)
            chunk.add_product(vector, out)

    def _replayed(self, vector: Tensor, out: Tensor, record: Recorder) -> None:
        """Replay `_sum` of the kept chunks, which the first call records."""
        if self._recorded is None:

            def product(source: Tensor, target: Tensor) -> None:
                self._sum(source, target, self.precision, self._kept)

            self._recorded = RecordedProduct(product, vector, record)
        self._recorded(vector, out)
