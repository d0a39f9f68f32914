"""Preconditioned conjugate gradients (Hestenes & Stiefel 1952; Nocedal & Wright, algorithm 5.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from asr_hf.hf.solvers.base import Iterate, Operator, SolverPreconditioner, SolverResult, StopReason
from asr_hf.hf.solvers.stopping import RelativeProgress, stored_iterations
from asr_hf.hf.vectors import dot, norm


@dataclass
class ConjugateGradient:
    """CG with a fixed preconditioner: β = z₊'r₊ / z'r (Fletcher-Reeves form).

    Args:
        max_iterations: bound on the steps of a run.
        stopping: the test that ends a run sooner.
        residual_tolerance: also stop at ‖r‖ <= this · ‖b‖.
        store_ratio: iterates are kept at ⌈store_ratio^j⌉.
        recompute_every: replace the recursive residual by the true one this often.
    """

    keeps_residual: ClassVar[bool] = False

    max_iterations: int = 250
    stopping: RelativeProgress = field(default_factory=RelativeProgress)
    residual_tolerance: float = 1e-8
    store_ratio: float = 1.3
    recompute_every: int = 50

    def solve(
        self, operator: Operator, b: Tensor, d0: Tensor, preconditioner: SolverPreconditioner
    ) -> SolverResult:
        """Minimise q(d) = ½ d'Ad - b'd from d0 [n]; see `Solver`."""
        return _Run(self, operator, b, d0, preconditioner).finish()

    def beta(
        self, z: Tensor, r: Tensor, r_before: Tensor | None, zr: float, zr_before: float
    ) -> float:
        """How much of the last direction is kept.

        Args:
            z: preconditioned new residual [n].
            r: new residual [n].
            r_before: residual before it [n], when `keeps_residual`.
            zr: z'r of the new ones.
            zr_before: z'r of the ones before.
        """
        return zr / zr_before


class _Run:
    """The state of one CG run."""

    def __init__(
        self,
        method: ConjugateGradient,
        operator: Operator,
        b: Tensor,
        d0: Tensor,
        preconditioner: SolverPreconditioner,
    ) -> None:
        self.method, self.operator, self.b, self.preconditioner = (
            method,
            operator,
            b,
            preconditioner,
        )
        self.keep = stored_iterations(method.store_ratio, method.max_iterations)
        self.b_norm = norm(b)
        self.d = d0.clone()
        self.r = b.clone()
        self.drift: float | None = None
        value = 0.0
        if bool(d0.any()):
            self.r.sub_(self._damped(d0))
            value = -0.5 * (dot(d0, self.r) + dot(d0, b))
        self.values = [value]
        self.iterates: list[Iterate] = []

    def _damped(self, v: Tensor) -> Tensor:
        return self.operator.curvature_product(v).add_(v, alpha=self.operator.damping)

    def finish(self) -> SolverResult:
        reason = self._iterate()
        done = len(self.values) - 1
        if not self.iterates or self.iterates[-1].iteration != done:
            self.iterates.append(Iterate(done, self.d, self.values[-1]))
        return SolverResult(self.iterates, self.values, done, reason, self.drift)

    def _iterate(self) -> StopReason:
        z = self.preconditioner.apply(self.r)
        zr = dot(z, self.r)
        p = z.clone()
        r_before = torch.empty_like(self.r) if self.method.keeps_residual else None
        for iteration in range(1, self.method.max_iterations + 1):
            if not zr > 0:
                return StopReason.RESIDUAL if zr == 0 else _broken(zr)
            if r_before is not None:
                r_before.copy_(self.r)
            reason = self._advance(p, iteration)
            if reason is not None:
                return reason
            z = self.preconditioner.apply(self.r)
            zr, zr_before = dot(z, self.r), zr
            p.mul_(self.method.beta(z, self.r, r_before, zr, zr_before)).add_(z)
        return StopReason.MAX_ITERATIONS

    def _advance(self, p: Tensor, iteration: int) -> StopReason | None:
        """Step along p to the minimum of q, and say whether the run ends there."""
        product = self.operator.curvature_product(p)
        pp, curvature, pr = dot(p, p), dot(p, product), dot(p, self.r)
        damped = curvature + self.operator.damping * pp
        if not (math.isfinite(damped) and math.isfinite(pr)):
            return StopReason.NON_FINITE
        # A is positive definite by construction: a smaller p'Ap can only be rounding.
        if not damped > 0 or curvature < -1e-6 * damped:
            return StopReason.NON_POSITIVE_CURVATURE
        alpha = pr / damped
        self.d.add_(p, alpha=alpha)
        self.values.append(self.values[-1] - 0.5 * alpha * pr)
        self.r.add_(product, alpha=-alpha).add_(p, alpha=-alpha * self.operator.damping)
        self.preconditioner.observe(p, product)
        if iteration % self.method.recompute_every == 0:
            self._recompute_residual()
        if iteration in self.keep:
            self.iterates.append(Iterate(iteration, self.d.clone(), self.values[-1]))
        if self.method.stopping.reached(self.values):
            return StopReason.PROGRESS
        if norm(self.r) <= self.method.residual_tolerance * self.b_norm:
            return StopReason.RESIDUAL
        return None

    def _recompute_residual(self) -> None:
        true = self.b - self._damped(self.d)
        drift = norm(true - self.r) / max(self.b_norm, 1e-300)
        self.drift = drift if self.drift is None else max(self.drift, drift)
        self.r.copy_(true)


def _broken(zr: float) -> StopReason:
    return StopReason.NON_POSITIVE_PRECONDITIONER if zr < 0 else StopReason.NON_FINITE
