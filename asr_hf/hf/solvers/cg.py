"""Preconditioned conjugate gradients (Hestenes & Stiefel 1952; Nocedal & Wright, algorithm 5.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from asr_hf.curvature.precision import Precision
from asr_hf.curvature.space import UNSHARDED, Space
from asr_hf.hf.memory import ProblemSize
from asr_hf.hf.solvers.base import Operator, SolverPreconditioner, SolverResult, StopReason
from asr_hf.hf.solvers.run import Run
from asr_hf.hf.solvers.stopping import RelativeProgress, StoppingRule, stored_iterations
from asr_hf.hf.solvers.workspace import Workspace


@dataclass
class ConjugateGradient:
    """CG with a fixed preconditioner: β = z₊'r₊ / z'r (Fletcher-Reeves form).

    Args:
        max_iterations: bound on the steps of a run.
        stopping: test that ends a run sooner.
        residual_tolerance: bound on ‖r‖ / ‖b‖ at which a run ends, whatever the test says.
        store_ratio: ratio of the iterations ⌈store_ratio^j⌉ whose iterates are kept.
        recompute_every: number of steps after which the true residual replaces the recursive one.
        recompute_every_reduced: this number while products are of less than full precision.
        drift_tolerance: difference of recursive and true residual, relative to the true one, above
            which the precision of the products rises.
    """

    max_iterations: int = 250
    stopping: StoppingRule = field(default_factory=RelativeProgress)
    residual_tolerance: float = 1e-8
    store_ratio: float = 1.3
    recompute_every: int = 50
    recompute_every_reduced: int = 10
    drift_tolerance: float = 0.3

    def __post_init__(self) -> None:
        self._workspace = Workspace()

    def memory(self, size: ProblemSize) -> int:
        """Return the bytes of seven vectors and the stored iterates."""
        stored = stored_iterations(self.store_ratio, self.max_iterations)
        return size.shards(7 + len(stored))

    def solve(
        self,
        operator: Operator,
        b: Tensor,
        d0: Tensor,
        preconditioner: SolverPreconditioner,
        space: Space = UNSHARDED,
    ) -> SolverResult:
        """Minimise q(d) = ½ d'Ad - b'd from d0 [n]; see `Solver`."""
        run = Run(self._workspace, operator, b, d0, space)
        if space.norm(d0) > 0:
            run.subtract_damped(operator.curvature_product(d0, out=run.gp), d0)
            run.values[0] = self._start(run, d0)
        return run.result(self._iterate(run, preconditioner))

    def _iterate(self, run: Run, preconditioner: SolverPreconditioner) -> StopReason:
        small = max(self.residual_tolerance, self.stopping.residual(run.b_norm)) * run.b_norm
        stored = stored_iterations(self.store_ratio, self.max_iterations)
        operator, p = run.operator, run.p
        z = preconditioner.apply(run.r, out=run.z)
        self._first_direction(run, z)
        (zr,) = run.space.dots((z, run.r))
        for iteration in range(1, self.max_iterations + 1):
            if not zr > 0:
                return _no_descent(zr)
            # To the minimum of q along p.
            product = operator.curvature_product(p, out=run.gp)
            pp, pgp, pr = run.space.dots((p, p), (p, product), (p, run.r))
            pap = run.pap = pgp + operator.damping * pp
            if not (math.isfinite(pap) and math.isfinite(pr)):
                return StopReason.NON_FINITE
            # A is positive definite by construction: a smaller p'Ap can only be rounding.
            if not pap > 0 or pgp < -1e-6 * pap:
                return StopReason.NON_POSITIVE_CURVATURE
            alpha = pr / pap
            run.d.add_(p, alpha=alpha)
            run.values.append(run.values[-1] - 0.5 * alpha * pr)
            run.subtract_damped(product, p, alpha)
            preconditioner.observe(p, product)
            full = operator.precision is Precision.FP32
            due = iteration % (self.recompute_every if full else self.recompute_every_reduced) == 0
            restart = due and run.recompute_residual(self.drift_tolerance)
            if iteration in stored:
                run.store(iteration)
            if self.stopping.reached(run.values):
                return self.stopping.reason
            # The next direction.
            z = preconditioner.apply(run.r, out=run.z)
            zr, rr, beta = self._conjugate(run, z, zr)
            if math.sqrt(rr) <= small:
                return StopReason.RESIDUAL
            torch.add(z, p, alpha=0.0 if restart else beta, out=p)
        return StopReason.MAX_ITERATIONS

    def _start(self, run: Run, d0: Tensor) -> float:
        """Choose where to start, given d0 [n] and r = b - A d0; return q there."""
        return run.value()

    def _first_direction(self, run: Run, z: Tensor) -> None:
        """Set p, given the preconditioned residual z [n]."""
        run.p.copy_(z)

    def _conjugate(self, run: Run, z: Tensor, zr: float) -> tuple[float, float, float]:
        """Return z₊'r₊, r₊'r₊ and β, given z₊ [n] and z'r of the step before."""
        now, rr = run.space.dots((z, run.r), (run.r, run.r))
        return now, rr, now / zr


def _no_descent(zr: float) -> StopReason:
    """Say why a run ends whose z'r is not positive."""
    if zr == 0:
        return StopReason.RESIDUAL
    return StopReason.NON_POSITIVE_PRECONDITIONER if zr < 0 else StopReason.NON_FINITE
