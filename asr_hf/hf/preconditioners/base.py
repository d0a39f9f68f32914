"""The protocol of preconditioners."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from asr_hf.curvature.space import UNSHARDED, Space
from asr_hf.curvature.statistic import CurvatureStatistics
from asr_hf.hf.memory import ProblemSize
from asr_hf.hf.state import State


class Preconditioner(Protocol):
    """M ≈ A = G + λI, of which solvers apply the inverse.

    Attributes:
        space: the space of its vectors; the outer loop sets it before all else.
    """

    space: Space

    def memory(self, size: ProblemSize) -> int:
        """Return the bytes that it will hold."""
        ...

    def prepare(self, damping: float, statistics: CurvatureStatistics) -> None:
        """Make ready for one CG run with damping λ."""
        ...

    def apply(self, residual: Tensor, out: Tensor | None = None) -> Tensor:
        """Return M⁻¹ r [n], in `out` if given; or `residual` itself."""
        ...

    def observe(self, direction: Tensor, product: Tensor) -> None:
        """Learn from a direction p [n] and its undamped product G p [n]."""
        ...

    def finish(self) -> None:
        """End a CG run; what was observed serves the next one."""
        ...

    def state_dict(self) -> State:
        """Return {"tensors": ..., "values": ...} that `load_state_dict` restores exactly."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Restore what `state_dict` returned."""
        ...


class Unobserving:
    """A preconditioner that learns nothing from CG's steps."""

    space: Space = UNSHARDED

    def observe(self, direction: Tensor, product: Tensor) -> None:
        """Learn nothing."""

    def finish(self) -> None:
        """Keep nothing."""


class Stateless(Unobserving):
    """A preconditioner that keeps nothing for the next run either."""

    def state_dict(self) -> State:
        """Return an empty state."""
        return {"tensors": {}, "values": {}}

    def load_state_dict(self, state: State) -> None:
        """Restore nothing."""
