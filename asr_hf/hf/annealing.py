"""How steps grow shorter in the course of a run."""

from __future__ import annotations

import math
from typing import Any, Protocol


class Annealing(Protocol):
    """Shortens steps in the course of a run."""

    def factor(self, progress: float) -> float:
        """Return the factor of a step's length, given the share of the run that is over."""
        ...

    def observe(self, progress: float, loss: float) -> None:
        """Learn the mean training loss of an iteration that ended at `progress`."""
        ...

    def finished(self, progress: float) -> bool:
        """Say whether the run ends before its horizon."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what later factors depend on, as JSON values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...


class Planned:
    """An annealing that follows from the horizon alone."""

    def observe(self, progress: float, loss: float) -> None:
        """Learn nothing."""

    def finished(self, progress: float) -> bool:
        """Return False: the run ends at its horizon."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """There is no state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is no state."""


class Linear(Planned):
    """Steps that shrink linearly to nothing."""

    def factor(self, progress: float) -> float:
        """See `Annealing`."""
        return 1.0 - progress


class Cosine(Planned):
    """Steps that shrink along half a cosine to nothing."""

    def factor(self, progress: float) -> float:
        """See `Annealing`."""
        return 0.5 * (1.0 + math.cos(math.pi * progress))


class Constant(Planned):
    """Steps as long as the quadratic model has them, to the end."""

    def factor(self, progress: float) -> float:
        """See `Annealing`."""
        return 1.0
