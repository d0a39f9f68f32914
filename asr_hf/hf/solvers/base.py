"""What every solver of A d = b takes and returns."""

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
        iteration: how many CG steps led to it.
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
        iterates: stored points in order; the last is where the run ended.
        values: q after each iteration, starting with q(d0) [iterations + 1].
        iterations: CG steps taken.
        reason: why it stopped.
        drift: largest ‖recursive - true residual‖ / ‖b‖ met, None when never checked.
        precision: of the products when the run ended.
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
        """Of `curvature_product`."""
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
        """Bytes it will hold."""
        ...

    def solve(
        self,
        operator: Operator,
        b: Tensor,
        d0: Tensor,
        preconditioner: SolverPreconditioner,
        space: Space = ...,
    ) -> SolverResult:
        """Run from d0 [n] towards A⁻¹ b [n]; the iterates hold until the next run.

        Where `space` is divided, all of them are this process's parts [k].
        """
        ...
