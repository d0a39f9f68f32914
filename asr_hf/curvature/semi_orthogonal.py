"""How far matrices are from semi-orthogonal ones, as a part of an objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_hf.curvature.affine import AffineLayer


@dataclass(frozen=True)
class SemiOrthogonal:
    """½ρ Σ ‖P P'/α² - I‖² / R over matrices P [R, C], with α² = tr(P P' P P') / tr(P P').

    It is 0 where the rows of each P are orthogonal and of one length α, whatever that is, and less
    than ½ρ for a P elsewhere. α is the floating scale of Povey et al. (2018, section 2): the one
    at which ‖P P'/α² - I‖ is least. The derivative with α held is therefore that of the whole term,
    and is orthogonal to P, whose scale stays free. Their own term, ‖P P' - α² I‖², would shrink P.

    Args:
        strength: ρ (nats per frame).
        layers: layers whose weights are the matrices.
    """

    strength: float
    layers: tuple[AffineLayer, ...]

    def value(self, theta: Tensor) -> float:
        """Return the value at θ [n]."""
        weights = (layer.views(theta)[0].double() for layer in self.layers)
        residuals = [_residual(weight)[1] for weight in weights]
        parts = [residual.square().sum() / len(residual) for residual in residuals]
        return 0.5 * self.strength * float(torch.stack(parts).sum())

    def add_gradient(self, target: Tensor, theta: Tensor, frames: float) -> Tensor:
        """Add the gradient at θ [n], times a number of frames, to `target` [n].

        The host does not wait for it.

        Returns:
            The target.
        """
        for layer in self.layers:
            weight, _ = layer.views(theta)
            scale, residual = _residual(weight)
            factor = scale * (2 * self.strength * frames / len(residual))
            layer.views(target)[0].addmm_(residual * factor, weight)
        return target

    def at(self, theta: Tensor) -> SemiOrthogonalCurvature:
        """Return the Gauss-Newton matrix at θ [n], which must not change in use."""
        return SemiOrthogonalCurvature(self.strength, self.layers, theta)


class SemiOrthogonalCurvature:
    """J'J of the residuals P P'/α² - I, with α held: V becomes 2ρ (V P' + P V') P / (R α⁴).

    Args:
        strength: ρ.
        layers: layers whose weights are the matrices.
        theta: θ [n].
    """

    def __init__(self, strength: float, layers: Sequence[AffineLayer], theta: Tensor) -> None:
        self._parts: list[tuple[AffineLayer, Tensor, Tensor]] = []
        for layer in layers:
            weight, _ = layer.views(theta)
            factor = _residual(weight)[0].square() * (2 * strength / layer.outputs)
            self._parts.append((layer, weight, factor))

    def add_product(self, target: Tensor, vector: Tensor, frames: float) -> Tensor:
        """Add the product with `vector` [n], times a number of frames, to `target` [n].

        Returns:
            The target.
        """
        for layer, weight, factor in self._parts:
            half = layer.views(vector)[0] @ weight.T
            layer.views(target)[0].addmm_((half + half.T) * (factor * frames), weight)
        return target


def _residual(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return 1/α² [] and P P'/α² - I [R, R] of a matrix P [R, C]; 0 and -I where P is zero."""
    gram = weight @ weight.T
    least = torch.finfo(weight.dtype).tiny
    scale = gram.trace() / gram.square().sum().clamp_min(least)
    residual = gram * scale
    residual.diagonal().sub_(1.0)
    return scale, residual
