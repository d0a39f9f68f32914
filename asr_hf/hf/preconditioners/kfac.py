"""Kronecker factors of the Fisher matrix as a preconditioner (Martens & Grosse 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from asr_hf.curvature.affine import AffineLayer
from asr_hf.curvature.kronecker import KroneckerFactor, joined
from asr_hf.curvature.statistic import CurvatureStatistics, SamplePasses, Sums
from asr_hf.hf.preconditioners.kronecker import KroneckerPreconditioner


@dataclass(frozen=True)
class FisherFactors:
    """A = E[(a, 1)(a, 1)'] and B = E[gg'] of each affine layer (Martens & Grosse 2015, section 3).

    a is the layer's input, without the 1 where the layer has no bias, and g the gradient at its
    output of the loss with labels drawn from the model. A layer may have more rows than there are
    frames, as those of a convolution over time do. Its Fisher block per frame is then taken as
    mean over rows of (a, 1)(a, 1)' ⊗ sum over rows of gg' per frame: inputs independent of
    gradients, gradients uncorrelated between rows (Grosse & Martens 2016, theorem 1). Rows that no
    output uses count among the inputs, with g = 0.

    Args:
        layers: the affine layers of the network.
        seed: seed of the labels.
        diagonal: number of a layer of whose B the diagonal alone is wanted; None for none.
    """

    layers: tuple[AffineLayer, ...]
    seed: int
    diagonal: int | None = None

    def sums(self, passes: SamplePasses) -> Sums:
        """Return Σ (a, 1)(a, 1)', whose corner counts the rows, and Σ gg', layer by layer."""
        new = passes.theta.new_zeros
        inputs = [new(x.inputs + 1, x.inputs + 1) for x in self.layers]
        outputs = [
            new(x.outputs) if number == self.diagonal else new(x.outputs, x.outputs)
            for number, x in enumerate(self.layers)
        ]

        def add_input(layer: int, a: Tensor) -> None:
            total, corner = inputs[layer], a.shape[1]
            total[:corner, :corner].addmm_(a.T, a)
            sums = a.sum(0)
            total[corner, :corner] += sums
            total[:corner, corner] += sums
            total[corner, corner] += len(a)

        def add_gradient(layer: int, g: Tensor) -> None:
            if layer == self.diagonal:
                outputs[layer] += g.square().sum(0)
            else:
                outputs[layer].addmm_(g.T, g)

        passes.layer_gradients(self.seed, add_input, add_gradient)
        return Sums(others=[*inputs, *outputs])

    def finish(self, totals: Sums, frames: int) -> list[KroneckerFactor]:
        """Divide inputs by the rows, and gradients by the frames."""
        inputs, outputs = totals.others[: len(self.layers)], totals.others[len(self.layers) :]
        return [
            KroneckerFactor(layer.start, _mean(layer, a), b / max(1, frames), layer.bias)
            for layer, a, b in zip(self.layers, inputs, outputs, strict=True)
        ]


def _mean(layer: AffineLayer, inputs: Tensor) -> Tensor:
    """Return E[(a, 1)(a, 1)'], or E[aa'] for a layer without a bias, given the sums."""
    mean = inputs / inputs[-1, -1].clamp_min(1)
    return mean if layer.bias else mean[:-1, :-1].contiguous()


class KFACPreconditioner(KroneckerPreconditioner):
    """A = E[(a, 1)(a, 1)'] and B = E[gg'], labels drawn from the model (see `FisherFactors`).

    Under a pull in the metric of a Fisher matrix, its factors are joined with these (see `joined`).

    Args:
        decay: see `KroneckerPreconditioner`.
        refresh_every: see `KroneckerPreconditioner`.
        invert_every: see `KroneckerPreconditioner`.
        precision: see `KroneckerPreconditioner`.
        most_classes: number of outputs of the last layer above which its B is taken as diagonal.
            There B = E[diag(p) - pp'] for posteriors p, whose diagonal is most of it, while a
            product with thousands of classes squared costs as much as a gradient. None keeps it
            whole.
    """

    method: ClassVar[str] = "K-FAC"

    def __init__(
        self,
        decay: float = 0.9,
        refresh_every: int = 1,
        invert_every: int = 1,
        precision: str = "fp32",
        most_classes: int | None = None,
    ) -> None:
        super().__init__(decay, refresh_every, invert_every, precision)
        self.most_classes = most_classes

    def factors(self, statistics: CurvatureStatistics) -> list[KroneckerFactor]:
        """See `KroneckerPreconditioner`."""
        layers = statistics.layers
        many = self.most_classes is not None and layers[-1].outputs > self.most_classes
        diagonal = len(layers) - 1 if many else None
        found = statistics.accumulate(FisherFactors(layers, statistics.seed, diagonal))
        return joined(found, statistics.fisher)
