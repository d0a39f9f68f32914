"""Shampoo's Kronecker factors, from the gradients of units (Gupta, Koren & Singer 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from asr_hf.curvature.affine import AffineLayer
from asr_hf.curvature.kronecker import KroneckerFactor
from asr_hf.curvature.statistic import CurvatureStatistics, SamplePasses, Sums
from asr_hf.hf.preconditioners.kronecker import KroneckerPreconditioner


@dataclass(frozen=True)
class GradientFactors:
    """L = Σ_u G_u G_u' / F and R = Σ_u G_u' G_u / F of each affine layer.

    G_u [out, in+1] is the gradient of unit u by (W, b), summed over its frames, F = Σ_u f_u; it has
    one column less where the layer has no bias.

    Args:
        layers: the affine layers of the network.
    """

    layers: tuple[AffineLayer, ...]

    def sums(self, passes: SamplePasses) -> Sums:
        """Add up G_u' G_u and G_u G_u', layer by layer."""
        new = passes.theta.new_zeros
        right = [new(x.columns, x.columns) for x in self.layers]
        left = [new(x.outputs, x.outputs) for x in self.layers]
        for _, gradient in passes.unit_gradients():
            for layer, r, b in zip(self.layers, right, left, strict=True):
                g = layer.matrix(gradient)
                r.addmm_(g.T, g)
                b.addmm_(g, g.T)
        return Sums(others=[*right, *left])

    def finish(self, totals: Sums, frames: int) -> list[KroneckerFactor]:
        """Divide by the frames, and R once more by its trace."""
        right, left = totals.others[: len(self.layers)], totals.others[len(self.layers) :]
        return [
            KroneckerFactor(
                layer.start, r / r.trace().clamp_min(1e-30), b / max(1, frames), layer.bias
            )
            for layer, r, b in zip(self.layers, right, left, strict=True)
        ]


class ShampooPreconditioner(KroneckerPreconditioner):
    """A = R / tr R and B = L, with L and R of `GradientFactors`.

    L ⊗ R / tr L is the square of Shampoo's own preconditioner, scaled. Among Kronecker products
    it is close to the best approximation of Σ_u g_u g_u' / F, the empirical Fisher matrix of
    units (Morwani et al. 2024, "A new perspective on Shampoo's preconditioner"). It needs one
    backward pass a unit and nothing of what happens inside a layer.
    """

    method: ClassVar[str] = "Shampoo"

    def factors(self, statistics: CurvatureStatistics) -> list[KroneckerFactor]:
        """See `KroneckerPreconditioner`."""
        return statistics.accumulate(GradientFactors(statistics.layers))
