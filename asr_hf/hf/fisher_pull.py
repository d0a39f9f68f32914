"""A pull to the starting model in the metric of its Fisher matrix, as Kronecker products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from asr_hf.curvature.kronecker import (
    KroneckerFactor,
    WeightScratch,
    largest_weights,
    times_inputs,
)
from asr_hf.curvature.precision import Precision, matrix_arithmetic
from asr_hf.curvature.space import UNSHARDED, Space
from asr_hf.curvature.vectors import dot
from asr_hf.hf.memory import ProblemSize
from asr_hf.hf.objective import Objective
from asr_hf.runtime.errors import InputError


class FisherQuadratic:
    """½ (θ - c)'ρF(θ - c), F a Kronecker product A ⊗ B for each affine layer that it knows.

    With F measured at c on other data, it stands for their loss around c: the Laplace approximation
    with Kronecker factors (Ritter, Botev & Barber 2018, "Online structured Laplace approximations
    for overcoming catastrophic forgetting"). Its diagonal is elastic weight consolidation
    (Kirkpatrick et al. 2017, equation 3). Of a layer with W̃ = [W b] the gradient is ρ B ΔW̃ A,
    with ΔW̃ the distance from c. What no layer covers is free.

    Args:
        factors: A and ρB of each layer.
        centre: c [n]; this process's part of it where vectors are divided.
        space: the space of the vectors.
    """

    def __init__(
        self, factors: Sequence[KroneckerFactor], centre: Tensor, space: Space = UNSHARDED
    ) -> None:
        self.factors, self.centre, self._space = tuple(factors), centre, space
        self._scratch = WeightScratch(factor.layer for factor in self.factors)

    def value(self, theta: Tensor) -> float:
        """Return the value at θ [n]; vectors must be whole."""
        away = theta - self.centre
        return 0.5 * dot(away, self._add_product(torch.zeros_like(away), away, 1.0))

    def add_gradient(self, target: Tensor, theta: Tensor, frames: float) -> Tensor:
        """Add the gradient at θ [n], times a number of frames, to `target` [n], and return that."""
        return self.add_product(target, theta - self.centre, frames)

    def add_product(self, target: Tensor, vector: Tensor, frames: float) -> Tensor:
        """Add ρF v, times a number of frames, to `target` [n], and return that."""
        if self._space is UNSHARDED:
            return self._add_product(target, vector, frames)
        # A block needs all of its layer.
        whole = self._space.whole(vector)
        product = self._add_product(torch.zeros_like(whole), whole, frames)
        return target.add_(self._space.shard(product))

    def held(self, space: Space) -> FisherQuadratic:
        """Return what works on this process's part of a vector; itself where that is all."""
        if space is UNSHARDED:
            return self
        return FisherQuadratic(self.factors, space.shard(self.centre), space)

    def _add_product(self, target: Tensor, vector: Tensor, frames: float) -> Tensor:
        # Two small products a layer, where coarse ones would not be felt in the time.
        with matrix_arithmetic(Precision.FP32):
            for factor in self.factors:
                self._add_block(factor, target, vector, frames)
        return target

    def _add_block(
        self, factor: KroneckerFactor, target: Tensor, vector: Tensor, frames: float
    ) -> None:
        weight, bias = factor.layer.views(vector)
        to_weight, to_bias = factor.layer.views(target)
        inner, b = self._scratch.like(weight), factor.outputs
        inner_bias = times_inputs(weight, bias, factor.inputs, inner)
        if b.dim() == 1:
            to_weight.addcmul_(b[:, None], inner, value=frames)
        else:
            to_weight.addmm_(b, inner, alpha=frames)
        if inner_bias is None:
            return
        if b.dim() == 1:
            to_bias.addcmul_(b, inner_bias, value=frames)
        else:
            to_bias.addmv_(b, inner_bias, alpha=frames)


def strengthened(objective: Objective, strength: float) -> tuple[KroneckerFactor, ...]:
    """Return ρF of the starting model, layer by layer; nothing where ρ is 0.

    Args:
        objective: objective that knows F (see `Objective.old_fisher`).
        strength: ρ, `trainer.pull_fisher`.

    Raises:
        ValueError: ρ is negative.
        InputError: F is not known.
    """
    if not strength >= 0:
        raise ValueError(f"trainer.pull_fisher: needs 0 or more, found {strength}")
    if not strength:
        return ()
    if not objective.old_fisher:
        raise InputError(
            f"trainer.pull_fisher={strength}: there is no Fisher matrix of the starting model",
            expected="one that asr-hf adapt measures, of a network with fully connected layers",
            remedy="trainer.pull_fisher=0; trainer.pull needs none",
        )
    return tuple(replace(one, outputs=strength * one.outputs) for one in objective.old_fisher)


def pull_memory(size: ProblemSize, pull: float, fisher: Sequence[KroneckerFactor]) -> int:
    """Return the bytes of what pulls keep: θ₀, ρF, and scratch of products and values.

    Args:
        size: size of the problem.
        pull: ρ of a pull in the plain metric.
        fisher: ρF; nothing without it.
    """
    if not fisher:
        return size.vectors(bool(pull))
    matrices = sum(f.inputs.numel() + f.outputs.numel() for f in fisher)
    # θ₀, the distance from it, and a product.
    scratch = largest_weights(factor.layer for factor in fisher)
    return size.vectors(3) + size.itemsize * (matrices + scratch)
