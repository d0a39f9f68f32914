"""The protocol of solvers of A d = b."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from torch import Tensor

from asr_hf.curvature.precision import Precision
from asr_hf.curvature.space import Space
from asr_hf.hf.memory import ProblemSize


class StopReason(StrEnum):
    """Why a CG run ended."""

    PROGRESS = "progress"
    STEPS = "steps"
    MAX_ITERATIONS = "max_iterations"
    RESIDUAL = "residual"
    NON_POSITIVE_CURVATURE = "non_positive_curvature"
    NON_POSITIVE_PRECONDITIONER = "non_positive_preconditioner"
    NON_FINITE = "non_finite"


@dataclass(frozen=True)
class Iterate:
    """One stored point of a CG run.

    Args:
        iteration: number of CG steps that led to it.
        d: the point [n].
        value: q(d) = ½ d'Ad - b'd.
    """

    iteration: int
    d: Tensor
    value: float


@dataclass(frozen=True)
class SolverResult:
    """The outcome of one CG run.

    Args:
        iterates: stored points in order; the run ended at the last one.
        values: q after each iteration, starting with q(d0) [iterations + 1].
        iterations: number of CG steps taken.
        reason: why the run stopped.
        drift: largest ‖recursive - true residual‖ / ‖b‖ met; None when never checked.
        precision: precision of the products at the end of the run.
    """

    iterates: list[Iterate]
    values: list[float]
    iterations: int
    reason: StopReason
    drift: float | None
    precision: Precision


class Operator(Protocol):
    """A = G + λI as a solver sees it."""

    damping: float

    @property
    def precision(self) -> Precision:
        """Precision of `curvature_product`."""
        ...

    def curvature_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v [n], in `out` if given."""
        ...

    def exact_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return G v [n] in full precision, in `out` if given."""
        ...

    def raise_precision(self) -> None:
        """Compute products in the next higher precision from now on."""
        ...


class SolverPreconditioner(Protocol):
    """What a solver asks of a preconditioner M."""

    def apply(self, residual: Tensor, out: Tensor | None = None) -> Tensor:
        """Return M⁻¹ r [n], in `out` if given; or `residual` itself."""
        ...

    def observe(self, direction: Tensor, product: Tensor) -> None:
        """Learn from a direction p [n] and its undamped product G p [n]; copy what is kept."""
        ...


class Solver(Protocol):
    """Minimises q(d) = ½ d'Ad - b'd.

    Attributes:
        max_iterations: bound on the steps of a run.
    """

    max_iterations: int

    def memory(self, size: ProblemSize) -> int:
        """Return the bytes that it will hold."""
        ...

    def solve(
        self,
        operator: Operator,
        b: Tensor,
        d0: Tensor,
        preconditioner: SolverPreconditioner,
        space: Space = ...,
    ) -> SolverResult:
        """Run from d0 towards A⁻¹ b.

        Args:
            operator: A = G + λI.
            b: right-hand side [n].
            d0: the start [n].
            preconditioner: M ≈ A.
            space: the space of the vectors; where it is divided, they are this process's parts [k].

        Returns:
            The run, whose iterates hold until the next one.
        """
        ...
