"""Flexible CG, for preconditioners that are not one fixed linear map (Notay 2000)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_hf.hf.solvers.cg import ConjugateGradient
from asr_hf.hf.solvers.run import Run


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

    along_start: bool = False

    def _start(self, run: Run, d0: Tensor) -> float:
        if not self.along_start:
            return run.value()
        run.p.copy_(d0)
        pb, pr = run.space.dots((run.p, run.b), (run.p, run.r))
        pap = pb - pr
        if not (pap > 0 and math.isfinite(pb)):
            return run.value()
        share = min(1.0, max(0.0, pb / pap))
        run.d.mul_(share)
        # b - A (share d0), where A d0 = b - r.
        torch.lerp(run.b, run.r, share, out=run.r)
        run.pap = pap
        return share * (0.5 * share * pap - pb)

    def _first_direction(self, run: Run, z: Tensor) -> None:
        if run.pap is None:
            run.p.copy_(z)
            return
        zgp, zp = run.space.dots((z, run.gp), (z, run.p))
        beta = -(zgp + run.operator.damping * zp) / run.pap
        torch.add(z, run.p, alpha=beta, out=run.p)

    def _conjugate(self, run: Run, z: Tensor, zr: float) -> tuple[float, float, float]:
        assert run.pap is not None, "a step comes first"
        now, rr, zgp, zp = run.space.dots((z, run.r), (run.r, run.r), (z, run.gp), (z, run.p))
        return now, rr, -(zgp + run.operator.damping * zp) / run.pap
