"""Flexible CG, for preconditioners that are not one fixed linear map (Notay 2000)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from asr_hf.hf.solvers.cg import ConjugateGradient
from asr_hf.hf.vectors import dot


@dataclass
class FlexibleConjugateGradient(ConjugateGradient):
    """CG with β = z₊'(r₊ - r) / z'r (Polak-Ribière form).

    With a fixed preconditioner z₊'r is zero and the method is plain CG; when the preconditioner
    varies, the extra term keeps successive directions A-orthogonal (Notay 2000, section 2).
    """

    keeps_residual: ClassVar[bool] = True

    def beta(
        self, z: Tensor, r: Tensor, r_before: Tensor | None, zr: float, zr_before: float
    ) -> float:
        """See `ConjugateGradient.beta`."""
        assert r_before is not None
        return (zr - dot(z, r_before)) / zr_before
