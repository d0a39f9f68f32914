"""The state of one CG run."""

from __future__ import annotations

from torch import Tensor

from asr_hf.curvature.precision import Precision
from asr_hf.curvature.space import Space
from asr_hf.hf.solvers.base import Iterate, Operator, SolverResult, StopReason
from asr_hf.hf.solvers.workspace import Workspace


class Run:
    """The iterate d, the residual r = b - Ad, the direction p and its product G p, all [n].

    Args:
        workspace: holds the vectors; those of the run before are overwritten.
        operator: A = G + λI.
        b: right-hand side [n].
        d0: the start [n].
        space: the space of the vectors.

    Attributes:
        values: q after each step, starting with q(d0).
        iterates: the points stored so far.
        pap: p'Ap of the last direction; None before the first.
        drift: largest ‖recursive - true residual‖ / ‖b‖ met; None when never checked.
    """

    def __init__(
        self, workspace: Workspace, operator: Operator, b: Tensor, d0: Tensor, space: Space
    ) -> None:
        self.workspace, self.operator, self.b, self.space = workspace, operator, b, space
        self.b_norm = space.norm(b)
        self.d, self.r = workspace.copy("d", d0), workspace.copy("r", b)
        self.p, self.gp = workspace.vector("p", b), workspace.vector("gp", b)
        self.z = workspace.vector("z", b)
        self.values = [0.0]
        self.iterates: list[Iterate] = []
        self.pap: float | None = None
        self.drift: float | None = None

    def value(self) -> float:
        """Return q(d) = -½ d'(r + b); r has to be the true residual."""
        return -0.5 * sum(self.space.dots((self.d, self.r), (self.d, self.b)))

    def subtract_damped(self, product: Tensor, v: Tensor, scale: float = 1.0) -> None:
        """Set r ← r - scale (Gv + λv), given Gv [n] and v [n]."""
        self.r.add_(product, alpha=-scale).add_(v, alpha=-scale * self.operator.damping)

    def store(self, iteration: int) -> None:
        """Keep a copy of the iterate."""
        stored = self.workspace.copy(f"iterate.{iteration}", self.d)
        self.iterates.append(Iterate(iteration, stored, self.values[-1]))

    def recompute_residual(self, tolerance: float) -> bool:
        """Put the true residual in r's place.

        Args:
            tolerance: relative difference of the two at which the precision of the products is
                raised, where it is not full yet.

        Returns:
            Whether it was raised. Directions conjugate under the coarser products are not so under
            the finer ones.
        """
        recursive = self.workspace.copy("recursive", self.r)
        product = self.operator.exact_product(self.d, out=self.workspace.vector("gd", self.r))
        self.r.copy_(self.b)
        self.subtract_damped(product, self.d)
        difference, true = self.space.norm(recursive.sub_(self.r)), self.space.norm(self.r)
        drift = difference / max(self.b_norm, 1e-300)
        self.drift = drift if self.drift is None else max(self.drift, drift)
        self.values[-1] = self.value()
        parted = difference > tolerance * true
        if parted and self.operator.precision is not Precision.FP32:
            self.operator.raise_precision()
            return True
        return False

    def result(self, reason: StopReason) -> SolverResult:
        """Return the outcome of the run, given why it ended."""
        done = len(self.values) - 1
        if not self.iterates or self.iterates[-1].iteration != done:
            self.iterates.append(Iterate(done, self.d, self.values[-1]))
        return SolverResult(
            self.iterates, self.values, done, reason, self.drift, self.operator.precision
        )
