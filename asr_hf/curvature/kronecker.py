"""Kronecker products of two matrices that stand for the curvature of affine layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_hf.curvature.affine import AffineLayer


@dataclass(frozen=True)
class KroneckerFactor:
    """The curvature of one affine layer, A ⊗ B.

    Args:
        start: place in θ where the layer's W [out, in] begins; its b [out] follows, if it has one.
        inputs: A [in+1, in+1], for the layer's inputs and, last, its bias; [in, in] without one.
        outputs: B [out, out], or its diagonal [out].
        bias: whether the layer has a bias.
    """

    start: int
    inputs: Tensor
    outputs: Tensor
    bias: bool = True

    @property
    def layer(self) -> AffineLayer:
        """Where the layer lies in θ."""
        return AffineLayer(self.start, len(self.inputs) - self.bias, len(self.outputs), self.bias)


def times_inputs(weight: Tensor, bias: Tensor, a: Tensor, out: Tensor) -> Tensor | None:
    """Compute [W b] A, with the last row and column of A, those of the bias, taken apart.

    Args:
        weight: W [out, in].
        bias: b [out]; [0] in a layer without one.
        a: A [in+1, in+1], symmetric; [in, in] without a bias.
        out: the first columns of the product [out, in]; written to.

    Returns:
        The last column of the product [out]; None without a bias.
    """
    own = weight.shape[1]
    torch.mm(weight, a[:own, :own], out=out)
    if len(a) == own:
        return None
    out.addr_(bias, a[-1, :-1])
    return torch.addmv(bias * a[-1, -1], weight, a[:-1, -1])


class WeightScratch:
    """Scratch in the shape of a layer's weights, one piece of memory for all layers.

    Args:
        layers: the layers.
    """

    def __init__(self, layers: Iterable[AffineLayer]) -> None:
        self._layers = tuple(layers)
        self._held: Tensor | None = None

    def like(self, weight: Tensor) -> Tensor:
        """Return scratch in the shape of W [out, in] of a layer; the next call takes it back."""
        if self._held is None:
            self._held = weight.new_empty(largest_weights(self._layers))
        return self._held[: weight.numel()].view(weight.shape)


def largest_weights(layers: Iterable[AffineLayer]) -> int:
    """Return the number of weights of the largest layer."""
    return max(layer.inputs * layer.outputs for layer in layers)


def joined(
    factors: Iterable[KroneckerFactor], others: Iterable[KroneckerFactor]
) -> list[KroneckerFactor]:
    """Return one Kronecker product in the place of the sum of two, layer by layer.

    A₁ ⊗ B₁ + A₂ ⊗ B₂ becomes A ⊗ (B₁ + B₂) with A = (t₁ A₁ + t₂ A₂) / (t₁ + t₂), t the traces of
    B₁ and B₂: summed over the outputs, the blocks of both are then the same, (tr B) A.

    Args:
        factors: the first product of each layer.
        others: the second product of some layers.
    """
    by_start = {other.start: other for other in others}
    return [_joined(one, by_start.get(one.start)) for one in factors]


def _joined(one: KroneckerFactor, other: KroneckerFactor | None) -> KroneckerFactor:
    if other is None:
        return one
    traces = [diagonal_of(factor.outputs).sum() for factor in (one, other)]
    share = traces[1] / (traces[0] + traces[1]).clamp_min(1e-30)
    return KroneckerFactor(
        one.start,
        torch.lerp(one.inputs, other.inputs, share),
        one.outputs + _like(other.outputs, one.outputs),
        one.bias,
    )


def _like(outputs: Tensor, other: Tensor) -> Tensor:
    """Return B as a diagonal [out] or a matrix [out, out], as another one is."""
    if outputs.dim() == other.dim():
        return outputs
    return outputs.diag() if outputs.dim() == 1 else outputs.diagonal()


def diagonal_of(factor: Tensor) -> Tensor:
    """Return the diagonal [d] of a factor [d, d], or of one that is its diagonal [d]."""
    return factor if factor.dim() == 1 else factor.diagonal()
