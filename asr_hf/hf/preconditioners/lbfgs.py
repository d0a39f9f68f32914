"""L-BFGS preconditioning from CG's own steps (Morales & Nocedal 2000; Sainath et al. 2013)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from asr_hf.hf.memory import ProblemSize
from asr_hf.hf.preconditioners.base import CurvatureStatistics
from asr_hf.hf.preconditioners.pairs import Keep, PairStore


class LBFGSPreconditioner:
    """M⁻¹ = H, the L-BFGS inverse of the pairs (s, y = (G + λI)s) of the CG run before.

    H is applied in its compact form (Byrd, Nocedal & Schnabel 1994, theorem 2.2):

        H = γI + [S γY] [[R⁻ᵀ(D + γY'Y)R⁻¹, -R⁻ᵀ], [-R⁻¹, 0]] [S γY]'

    with R = triu(S'Y), D = diag(S'Y), γ = s'y / y'y of the newest pair. Pairs keep G s apart
    from λ s, so that they stay right when λ changes; only m × m matrices are made anew.

    Args:
        pairs: m, the most pairs kept of a run.
        keep: which of them: "spread", "first" or "last" (see `Keep`).
    """

    def __init__(self, pairs: int = 16, keep: str = "spread") -> None:
        if pairs < 1:
            raise ValueError(f"preconditioner.pairs: needs at least 1, found {pairs}")
        self._observed = PairStore(pairs, Keep(keep))
        self._buffer: Tensor | None = None
        self._pairs: Tensor | None = None
        self._gram: Tensor | None = None
        self._damping = 0.0
        self._compact: tuple[Tensor, Tensor, float] | None = None

    @property
    def count(self) -> int:
        """How many pairs are in use."""
        return 0 if self._pairs is None else self._pairs.shape[0] // 2

    def memory(self, size: ProblemSize) -> int:
        """The pairs in use and those to come."""
        return size.vectors(4 * self._observed.size)

    def prepare(self, damping: float, statistics: CurvatureStatistics) -> None:
        """Make the small matrices of this λ."""
        self._damping, self._compact = damping, None
        if self._gram is None:
            return
        m = self.count
        ss, sg, gg = self._gram[:m, :m], self._gram[:m, m:], self._gram[m:, m:]
        sy = sg + damping * ss
        yy = gg + damping * (sg + sg.T) + damping**2 * ss
        gamma = float(sy[-1, -1] / yy[-1, -1])
        upper = torch.triu(sy)
        inner = torch.diag(torch.diagonal(sy)) + gamma * yy
        self._compact = (upper, inner, gamma)

    def apply(self, residual: Tensor, out: Tensor | None = None) -> Tensor:
        """Return H r [n], in `out` if given; r itself while there are no pairs."""
        if self._compact is None:
            return residual
        assert self._pairs is not None
        upper, inner, gamma = self._compact
        m = self.count
        products = (self._pairs @ residual).to(upper)
        s_r = products[:m, None]
        y_r = products[m:, None] + self._damping * s_r
        t = torch.linalg.solve_triangular(upper, s_r, upper=True)
        u = torch.linalg.solve_triangular(upper.T, inner @ t - gamma * y_r, upper=False)
        # S u - γ Y t with Y = G S + λ S, so that Y is never formed.
        weights = torch.cat([u - gamma * self._damping * t, -gamma * t]).squeeze(1)
        return torch.addmv(residual, self._pairs.T, weights.to(residual), beta=gamma, out=out)

    def observe(self, direction: Tensor, product: Tensor) -> None:
        """Offer a pair for the next run."""
        self._observed.add(direction, product)

    def finish(self) -> None:
        """Put the run's pairs in place of the ones before; a run without any changes nothing."""
        if self._observed.count:
            # The buffer of the pairs in use becomes the one for the pairs after these.
            self._buffer, count = self._observed.take(spare=self._buffer)
            self._use(self._buffer[: 2 * count])

    def _use(self, pairs: Tensor) -> None:
        self._pairs = pairs
        wide = pairs.double() if pairs.numel() <= 1 << 24 else pairs
        self._gram = (wide @ wide.T).double().cpu()
        self._compact = None

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Return the pairs in use."""
        return {"tensors": {} if self._pairs is None else {"pairs": self._pairs}, "values": {}}

    def load_state_dict(self, state: dict[str, dict[str, Any]]) -> None:
        """Restore the pairs in use."""
        if "pairs" in state["tensors"]:
            self._use(state["tensors"]["pairs"])
