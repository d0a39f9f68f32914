"""The decision about a step, for the outer loop, for λ and for the log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from asr_hf.hf.objective import LossSum
from asr_hf.hf.solvers.base import Iterate


class Outcome(Enum):
    """How a step turned out."""

    # It is not taken.
    REJECTED = auto()
    # It is taken, and the reduction ratio says how well q predicted the loss.
    MEASURED = auto()
    # It is taken, and the loss fell by more than chance.
    BETTER = auto()
    # It is taken, and whether the loss fell cannot be told from chance.
    UNCLEAR = auto()


@dataclass(frozen=True)
class Verdict:
    """The decision about a step.

    Args:
        outcome: how the step turned out.
        iterate: the step's direction.
        length: step length along it; 0 where the step is rejected.
        heldout: held-out loss after the step.
        rho: reduction ratio; None where it was not measured.
    """

    outcome: Outcome
    iterate: Iterate
    length: float
    heldout: LossSum
    rho: float | None
