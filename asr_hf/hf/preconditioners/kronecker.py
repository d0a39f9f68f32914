"""Preconditioners that are a Kronecker product of two matrices for each affine layer."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from asr_hf.curvature.affine import AffineLayer
from asr_hf.curvature.kronecker import KroneckerFactor, WeightScratch, diagonal_of, times_inputs
from asr_hf.curvature.precision import Precision, arithmetic_units
from asr_hf.curvature.space import UNSHARDED
from asr_hf.curvature.statistic import CurvatureStatistics
from asr_hf.hf.memory import ProblemSize
from asr_hf.hf.preconditioners.base import Unobserving
from asr_hf.hf.state import State
from asr_hf.runtime.errors import InputError

log = logging.getLogger(__name__)


@dataclass
class _Block:
    """The running factors of one layer, and their damped inverses once prepared."""

    start: int
    inputs: Tensor
    outputs: Tensor
    bias: bool
    inverse_inputs: Tensor | None = None
    inverse_outputs: Tensor | None = None
    damping: float | None = None

    @property
    def layer(self) -> AffineLayer:
        """Where the layer lies in θ."""
        inputs = len(self.inputs) - self.bias
        return AffineLayer(self.start, inputs, len(self.outputs), self.bias)


class KroneckerPreconditioner(Unobserving, ABC):
    """M = blockdiag over layers of (A + π√λ I) ⊗ (B + √λ/π I).

    A derived class estimates A [in+1, in+1] and B [out, out] of each layer, [in, in] for A where a
    layer has no bias; both are running means over the curvature samples met. The damping is
    factored, π² = (tr A / dim A) / (tr B / dim B) (Martens & Grosse 2015, section 6.3); weight
    decay is damping here. For parameters of no affine layer M is the identity.

    Args:
        decay: decay of the running means; the k-th estimate weighs at least 1 / k (section 5).
        refresh_every: number of CG runs between two estimates of the factors; each of as many first
            runs makes one, while the network changes fast.
        invert_every: number of estimates between two inversions of the factors; the first, second,
            fourth, eighth, ... estimate are inverted at once.
        precision: arithmetic of products with M⁻¹, "fp32" or "bf16"; inverses are computed in
            float64. "bf16" holds where the device multiplies that faster. A product is then some
            0.5 % of its length off, and M⁻¹ no longer exactly symmetric: that suits steps along
            M⁻¹g, and solvers that allow for an M that changes.

    Attributes:
        method: name of the method in messages.
    """

    method: ClassVar[str]

    def __init__(
        self,
        decay: float = 0.9,
        refresh_every: int = 1,
        invert_every: int = 1,
        precision: str = "fp32",
    ) -> None:
        if not 0 <= decay < 1 or refresh_every < 1 or invert_every < 1:
            raise ValueError(
                "preconditioner: needs 0 <= decay < 1, refresh_every >= 1 and invert_every >= 1"
            )
        if precision not in (Precision.FP32, Precision.BF16):
            raise ValueError(f"preconditioner.precision={precision}: needs fp32 or bf16")
        self.decay, self.refresh_every, self.invert_every = decay, refresh_every, invert_every
        self.precision = Precision(precision)
        self._blocks: list[_Block] = []
        self._scratch: WeightScratch | None = None
        self._named = False
        self._estimates = self._runs = 0

    @abstractmethod
    def factors(self, statistics: CurvatureStatistics) -> list[KroneckerFactor]:
        """Estimate the factors of all affine layers on a sample."""

    def memory(self, size: ProblemSize) -> int:
        """Return the bytes of factors, inverses, scratch, and the inversion of the largest factor.

        The first time, the log names the parameters that no factor covers.

        Raises:
            InputError: there is no layer that it knows.
        """
        if not size.layers:
            raise InputError(
                f"preconditioner: {self.method} knows fully connected layers alone, "
                "not a network without any",
                expected="a network with layers of torch.nn.Linear",
                remedy="preconditioner=lbfgs, diagonal or identity, which serve any network",
            )
        if size.others and not self._named:
            self._named = True
            log.warning(
                "preconditioner: %s knows fully connected layers alone; the identity "
                "stands for the curvature of %s",
                self.method,
                ", ".join(size.others),
            )
        squares = [d**2 for i, o in size.layers for d in (i + 1, o)]
        scratch = max(i * o for i, o in size.layers)
        return size.itemsize * (2 * sum(squares) + scratch) + 3 * 8 * max(squares)

    def prepare(self, damping: float, statistics: CurvatureStatistics) -> None:
        """Renew the factors when it is time, and invert them for this λ."""
        fresh = self._runs % self.refresh_every == 0 or self._runs < self.refresh_every
        if fresh:
            self._update(self.factors(statistics))
        self._runs += 1
        estimates = self._estimates
        is_power = estimates & (estimates - 1) == 0
        damping += statistics.decay
        due = fresh and (is_power or estimates % self.invert_every == 0)
        for block in self._blocks:
            if due or block.damping != damping:
                _invert(block, damping, self._dtype(block.inputs))

    def _dtype(self, factor: Tensor) -> torch.dtype:
        """Return the dtype of inverses, given a factor."""
        narrow = self.precision is Precision.BF16 and arithmetic_units(factor.device)
        return torch.bfloat16 if narrow else factor.dtype

    def _update(self, factors: list[KroneckerFactor]) -> None:
        self._estimates += 1
        keep = min(1 - 1 / self._estimates, self.decay)
        if not self._blocks:
            self._blocks = [_Block(f.start, f.inputs, f.outputs, f.bias) for f in factors]
            return
        for block, factor in zip(self._blocks, factors, strict=True):
            block.inputs.lerp_(factor.inputs, 1 - keep)
            block.outputs.lerp_(factor.outputs, 1 - keep)

    def apply(self, residual: Tensor, out: Tensor | None = None) -> Tensor:
        """Return M⁻¹ r [n], in `out` if given; entries of no affine layer pass unchanged."""
        if self.space is not UNSHARDED:
            # A block needs all of its layer.
            result = self.space.shard(self._apply(self.space.whole(residual), None))
            return result if out is None else out.copy_(result)
        return self._apply(residual, out)

    def _apply(self, residual: Tensor, out: Tensor | None) -> Tensor:
        result = residual.clone() if out is None else out.copy_(residual)
        if self._scratch is None:
            self._scratch = WeightScratch(block.layer for block in self._blocks)
        for block in self._blocks:
            a, b = block.inverse_inputs, block.inverse_outputs
            assert a is not None and b is not None, "prepare() comes first"
            weight, bias = block.layer.views(residual)
            weight_out, bias_out = block.layer.views(result)
            # B⁻¹ [W b] A⁻¹
            if a.dtype != residual.dtype:
                narrow = block.layer.matrix(residual).to(a) @ a
                product = torch.empty_like(narrow)
                _times(b, narrow, product)
                weight_out.copy_(product[:, : weight.shape[1]])
                bias_out.copy_(product[:, weight.shape[1] :].flatten())
                continue
            inner = self._scratch.like(weight)
            inner_bias = times_inputs(weight, bias, a, inner)
            if inner_bias is not None:
                _times(b, inner_bias, bias_out)
            _times(b, inner, weight_out)
        return result

    def state_dict(self) -> State:
        """Return the running factors, and inverses that are of earlier ones."""
        tensors = {}
        for number, block in enumerate(self._blocks):
            tensors[f"inputs.{number}"] = block.inputs
            tensors[f"outputs.{number}"] = block.outputs
            inverses = (block.inverse_inputs, block.inverse_outputs)
            if self.invert_every > 1 and inverses[0] is not None and inverses[1] is not None:
                tensors[f"inverse_inputs.{number}"] = inverses[0]
                tensors[f"inverse_outputs.{number}"] = inverses[1]
        values = {
            "starts": [block.start for block in self._blocks],
            "biases": [block.bias for block in self._blocks],
            "estimates": self._estimates,
            "runs": self._runs,
            "damping": self._blocks[0].damping if self._blocks else None,
        }
        return {"tensors": tensors, "values": values}

    def load_state_dict(self, state: State) -> None:
        """Restore what `state_dict` returned."""
        tensors, values = state["tensors"], state["values"]
        self._estimates, self._runs = values["estimates"], values["runs"]
        self._blocks = [
            _Block(
                start,
                tensors[f"inputs.{number}"],
                tensors[f"outputs.{number}"],
                bias,
                tensors.get(f"inverse_inputs.{number}"),
                tensors.get(f"inverse_outputs.{number}"),
                values["damping"] if f"inverse_inputs.{number}" in tensors else None,
            )
            for number, (start, bias) in enumerate(
                zip(values["starts"], values["biases"], strict=True)
            )
        ]


def _invert(block: _Block, damping: float, dtype: torch.dtype) -> None:
    a, b = diagonal_of(block.inputs).double(), diagonal_of(block.outputs).double()
    pi = (a.mean().clamp_min(1e-30) / b.mean().clamp_min(1e-30)).sqrt()
    root, block.damping = damping**0.5, damping
    # The old ones first, so that they need not stand beside the new.
    block.inverse_inputs = block.inverse_outputs = None
    block.inverse_inputs = _inverse(block.inputs, pi * root).to(dtype)
    block.inverse_outputs = _inverse(block.outputs, root / pi).to(dtype)


def _times(factor: Tensor, value: Tensor, out: Tensor) -> None:
    """Write B⁻¹ times a matrix [out, in] or vector [out] to `out`, given B⁻¹ or its diagonal."""
    if factor.dim() == 1:
        torch.mul(factor.view(-1, *[1] * (value.dim() - 1)), value, out=out)
    else:
        torch.matmul(factor, value, out=out)


def _inverse(matrix: Tensor, shift: Tensor) -> Tensor:
    """Return (matrix + shift I)⁻¹ in the matrix's dtype, computed in float64.

    Args:
        matrix: a factor [d, d], or the diagonal of one [d].
        shift: damping [].
    """
    if matrix.dim() == 1:
        return (matrix.double() + shift).reciprocal().to(matrix)
    damped = matrix.to(torch.float64, copy=True)
    damped.diagonal().add_(shift)
    lower = torch.linalg.cholesky(damped)
    del damped
    inverse = torch.cholesky_inverse(lower).to(matrix)
    return inverse.add(inverse.T).mul_(0.5)
