"""No preconditioning."""

from __future__ import annotations

from torch import Tensor

from asr_hf.hf.preconditioners.base import SquaredGradients, Stateless


class IdentityPreconditioner(Stateless):
    """M = I."""

    def prepare(self, damping: float, squared_gradients: SquaredGradients) -> None:
        """Nothing to prepare."""

    def apply(self, residual: Tensor) -> Tensor:
        """Return `residual` itself."""
        return residual
