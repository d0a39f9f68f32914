"""Chooses one of CG's iterates, and how far to go along it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asr_hf.hf.solvers.base import Iterate


def backtrack(
    iterates: Sequence[Iterate], loss_at: Callable[[Iterate], float]
) -> tuple[Iterate, float]:
    """Walk back over the stored iterates, last to first, while the loss keeps falling.

    Non-finite losses count as worse than any other (Kingsbury et al. 2012, algorithm 1;
    Martens 2010, section 4.6).

    Args:
        iterates: the iterates in order.
        loss_at: returns the loss at an iterate.

    Returns:
        The best iterate met and its loss.
    """
    best, best_loss = iterates[-1], _or_worst(loss_at(iterates[-1]))
    for iterate in reversed(iterates[:-1]):
        loss = _or_worst(loss_at(iterate))
        if loss >= best_loss and best_loss != float("inf"):
            break
        if loss < best_loss:
            best, best_loss = iterate, loss
    return best, best_loss


def _or_worst(loss: float) -> float:
    return loss if loss == loss else float("inf")


@dataclass(frozen=True)
class Armijo:
    """Step length by backtracking until the loss falls in proportion to the slope.

    The step α starts at 1 and shrinks by `rate` until
    L(θ + αd) <= L(θ) + c α g'd (Martens 2010; c = 1e-2, rate = 0.8, at most 60 trials).
    """

    c: float = 1e-2
    rate: float = 0.8
    max_trials: int = 60

    def search(self, loss_at: Callable[[float], float], loss: float, slope: float) -> float:
        """Return the step length, or 0.0 when none lowers the loss enough.

        Args:
            loss_at: α -> L(θ + αd).
            loss: L(θ).
            slope: g'd, negative for a descent direction.
        """
        if not slope < 0:
            return 0.0
        step = 1.0
        for _ in range(self.max_trials):
            if loss_at(step) <= loss + self.c * step * slope:
                return step
            step *= self.rate
        return 0.0
