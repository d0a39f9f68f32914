"""Preconditioned conjugate gradients (Hestenes & Stiefel 1952; Nocedal & Wright, algorithm 5.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from asr_hf.hf.memory import ProblemSize
from asr_hf.hf.precision import Precision
from asr_hf.hf.solvers.base import Iterate, Operator, SolverPreconditioner, SolverResult, StopReason
from asr_hf.hf.solvers.stopping import RelativeProgress, StoppingRule, stored_iterations
from asr_hf.hf.solvers.workspace import Workspace
from asr_hf.hf.space import UNDIVIDED, Space


@dataclass(frozen=True)
class StepProducts:
    """Inner products at the end of a step; z is the preconditioned residual.

    Args:
        zr: z₊'r₊.
        zr_before: z'r, of the step before.
        zap: z₊'Ap; 0.0 where the method does not ask for it.
        pap: p'Ap.
    """

    zr: float
    zr_before: float
    zap: float
    pap: float


@dataclass
class ConjugateGradient:
    """CG with a fixed preconditioner: β = z₊'r₊ / z'r (Fletcher-Reeves form).

    Args:
        max_iterations: bound on the steps of a run.
        stopping: the test that ends a run sooner.
        residual_tolerance: also stop at ‖r‖ <= this · ‖b‖, whatever the test says.
        store_ratio: iterates are kept at ⌈store_ratio^j⌉.
        recompute_every: replace the recursive residual by the true one this often.
        recompute_every_reduced: the same while products are of less than full precision.
        drift_tolerance: raise the precision of the products when recursive and true residual
            differ by more than this, relative to the true one.
        along_start: see `FlexibleConjugateGradient`, which alone can do it.
    """

    flexible: ClassVar[bool] = False

    max_iterations: int = 250
    stopping: StoppingRule = field(default_factory=RelativeProgress)
    residual_tolerance: float = 1e-8
    store_ratio: float = 1.3
    recompute_every: int = 50
    recompute_every_reduced: int = 10
    drift_tolerance: float = 0.3
    along_start: bool = False

    def __post_init__(self) -> None:
        if self.along_start and not self.flexible:
            raise ValueError("solver.along_start: needs solver=flexible_cg")
        self._workspace = Workspace()

    def solve(
        self,
        operator: Operator,
        b: Tensor,
        d0: Tensor,
        preconditioner: SolverPreconditioner,
        space: Space = UNDIVIDED,
    ) -> SolverResult:
        """Minimise q(d) = ½ d'Ad - b'd from d0 [n]; see `Solver`."""
        return _Run(self, self._workspace, operator, b, d0, preconditioner, space).finish()

    def memory(self, size: ProblemSize) -> int:
        """Bytes it will hold: seven vectors and the stored iterates."""
        stored = stored_iterations(self.store_ratio, self.max_iterations)
        return size.parts(7 + len(stored))

    def beta(self, products: StepProducts) -> float:
        """How much of the last direction is kept."""
        return products.zr / products.zr_before


class _Run:
    """The state of one CG run: d, r = b - Ad, direction p, and Gp."""

    def __init__(
        self,
        method: ConjugateGradient,
        workspace: Workspace,
        operator: Operator,
        b: Tensor,
        d0: Tensor,
        preconditioner: SolverPreconditioner,
        space: Space,
    ) -> None:
        self.method, self.workspace, self.operator = method, workspace, operator
        self.b, self.preconditioner, self.space = b, preconditioner, space
        self.keep = stored_iterations(method.store_ratio, method.max_iterations)
        self.b_norm = space.norm(b)
        small = max(method.residual_tolerance, method.stopping.residual(self.b_norm))
        self.small_residual = small * self.b_norm
        self.d, self.r = workspace.copy("d", d0), workspace.copy("r", b)
        self.p, self.gp = workspace.vector("p", b), workspace.vector("gp", b)
        self.drift: float | None = None
        self.restart = False
        # p'Ap of a direction that the first one has to be A-orthogonal to.
        self.before: float | None = None
        self.values = [self._start(d0) if space.norm(d0) > 0 else 0.0]
        self.iterates: list[Iterate] = []

    def _start(self, d0: Tensor) -> float:
        """Start at d0, or where q is lowest between 0 and d0; returns q there."""
        self._subtract_damped(self.operator.curvature_product(d0, out=self.gp), d0)
        if not self.method.along_start:
            return self._value()
        self.p.copy_(d0)
        pb, pr = self.space.dots((self.p, self.b), (self.p, self.r))
        pap = pb - pr
        if not (pap > 0 and math.isfinite(pb)):
            return self._value()
        share = min(1.0, max(0.0, pb / pap))
        self.d.mul_(share)
        # b - A (share d0), where A d0 = b - r.
        torch.lerp(self.b, self.r, share, out=self.r)
        self.before = pap
        return share * (0.5 * share * pap - pb)

    def _value(self) -> float:
        """q(d) = -½ d'(r + b), while r is the true residual."""
        return -0.5 * sum(self.space.dots((self.d, self.r), (self.d, self.b)))

    def _subtract_damped(self, product: Tensor, v: Tensor, scale: float = 1.0) -> None:
        """r ← r - scale (Gv + λv)."""
        self.r.add_(product, alpha=-scale).add_(v, alpha=-scale * self.operator.damping)

    def finish(self) -> SolverResult:
        reason = self._iterate()
        done = len(self.values) - 1
        if not self.iterates or self.iterates[-1].iteration != done:
            self.iterates.append(Iterate(done, self.d, self.values[-1]))
        return SolverResult(
            self.iterates, self.values, done, reason, self.drift, self.operator.precision
        )

    def _iterate(self) -> StopReason:
        room = self.workspace.vector("z", self.r)
        z = self.preconditioner.apply(self.r, out=room)
        if self.before is None:
            self.p.copy_(z)
        else:
            zgp, zp = self.space.dots((z, self.gp), (z, self.p))
            beta = -(zgp + self.operator.damping * zp) / self.before
            torch.add(z, self.p, alpha=beta, out=self.p)
        (zr,) = self.space.dots((z, self.r))
        for iteration in range(1, self.method.max_iterations + 1):
            if not zr > 0:
                return StopReason.RESIDUAL if zr == 0 else _broken(zr)
            stopped, pap = self._advance(iteration)
            if stopped is not None:
                return stopped
            z = self.preconditioner.apply(self.r, out=room)
            zr_before = zr
            zr, zap, rr = self._products(z)
            if math.sqrt(rr) <= self.small_residual:
                return StopReason.RESIDUAL
            beta = self.method.beta(StepProducts(zr, zr_before, zap, pap))
            torch.add(z, self.p, alpha=0.0 if self.restart else beta, out=self.p)
            self.restart = False
        return StopReason.MAX_ITERATIONS

    def _products(self, z: Tensor) -> tuple[float, float, float]:
        """z'r, z'Ap (0.0 unless the method is flexible) and r'r."""
        if not self.method.flexible:
            zr, rr = self.space.dots((z, self.r), (self.r, self.r))
            return zr, 0.0, rr
        zr, rr, zgp, zp = self.space.dots((z, self.r), (self.r, self.r), (z, self.gp), (z, self.p))
        return zr, zgp + self.operator.damping * zp, rr

    def _advance(self, iteration: int) -> tuple[StopReason | None, float]:
        """Step along p to the minimum of q; say whether the run ends there, and p'Ap."""
        p = self.p
        product = self.operator.curvature_product(p, out=self.gp)
        pp, curvature, pr = self.space.dots((p, p), (p, product), (p, self.r))
        damped = curvature + self.operator.damping * pp
        if not (math.isfinite(damped) and math.isfinite(pr)):
            return StopReason.NON_FINITE, damped
        # A is positive definite by construction: a smaller p'Ap can only be rounding.
        if not damped > 0 or curvature < -1e-6 * damped:
            return StopReason.NON_POSITIVE_CURVATURE, damped
        alpha = pr / damped
        self.d.add_(p, alpha=alpha)
        self.values.append(self.values[-1] - 0.5 * alpha * pr)
        self._subtract_damped(product, p, alpha)
        self.preconditioner.observe(p, product)
        if iteration % self._recompute_every == 0:
            self._recompute_residual()
        if iteration in self.keep:
            stored = self.workspace.copy(f"iterate.{iteration}", self.d)
            self.iterates.append(Iterate(iteration, stored, self.values[-1]))
        rule = self.method.stopping
        return (rule.reason if rule.reached(self.values) else None), damped

    @property
    def _recompute_every(self) -> int:
        full = self.operator.precision is Precision.FP32
        return self.method.recompute_every if full else self.method.recompute_every_reduced

    def _recompute_residual(self) -> None:
        """Put the true residual in r's place; raise the precision if they had parted."""
        recursive = self.workspace.copy("recursive", self.r)
        product = self.operator.exact_product(self.d, out=self.workspace.vector("gd", self.r))
        self.r.copy_(self.b)
        self._subtract_damped(product, self.d)
        norm = self.space.norm
        difference, true = norm(recursive.sub_(self.r)), norm(self.r)
        drift = difference / max(self.b_norm, 1e-300)
        self.drift = drift if self.drift is None else max(self.drift, drift)
        self.values[-1] = self._value()
        reduced = self.operator.precision is not Precision.FP32
        if reduced and difference > self.method.drift_tolerance * true:
            self.operator.raise_precision()
            # Directions conjugate under the coarser products are not so under the finer ones.
            self.restart = True


def _broken(zr: float) -> StopReason:
    return StopReason.NON_POSITIVE_PRECONDITIONER if zr < 0 else StopReason.NON_FINITE
