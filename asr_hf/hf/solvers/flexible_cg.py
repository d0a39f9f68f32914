"""Flexible CG, for preconditioners that are not one fixed linear map (Notay 2000)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from asr_hf.hf.solvers.cg import ConjugateGradient, StepProducts


@dataclass
class FlexibleConjugateGradient(ConjugateGradient):
    """CG with β = -z₊'Ap / p'Ap, which makes the next direction A-orthogonal to p.

    With r₊ = r - αAp this is the Polak-Ribière form z₊'(r₊ - r) / z'r, without its difference of
    residuals. With a fixed preconditioner it is plain CG; when the preconditioner varies,
    successive directions stay A-orthogonal (Notay 2000, section 2, one direction kept).

    Args:
        along_start: start where q is lowest between 0 and d0 instead of at d0, and take the first
            direction A-orthogonal to d0: the model decides how much of the last step to repeat,
            at the same cost (after the momentum of Martens & Grosse 2015, section 7). It never
            steps back: on a small fresh sample the last step nearly always seems too long.
    """

    flexible: ClassVar[bool] = True

    def beta(self, products: StepProducts) -> float:
        """See `ConjugateGradient.beta`."""
        return -products.zap / products.pap
