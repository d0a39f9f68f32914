"""L-BFGS preconditioning from CG's own steps (Morales & Nocedal 2000; Sainath et al. 2013)."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_hf.curvature.space import UNSHARDED, Space
from asr_hf.curvature.statistic import CurvatureStatistics
from asr_hf.hf.memory import ProblemSize
from asr_hf.hf.preconditioners.base import Preconditioner
from asr_hf.hf.preconditioners.pairs import Keep, PairStore
from asr_hf.hf.state import State, nest, nested


class LBFGSPreconditioner:
    """M⁻¹ = H, the L-BFGS inverse of the pairs (s, y = (G + λI)s) of the CG run before.

    H is applied in its compact form (Byrd, Nocedal & Schnabel 1994, theorem 2.2):

        H = γI + [S γY] [[R⁻ᵀ(D + γY'Y)R⁻¹, -R⁻ᵀ], [-R⁻¹, 0]] [S γY]'

    with R = triu(S'Y), D = diag(S'Y), γ = s'y / y'y of the newest pair. Pairs keep G s apart
    from λ s, so that they stay right when λ changes; only m × m matrices are made anew. Weight
    decay is a part of G.

    With another preconditioner as initial matrix H₀ the same update is, for t = R⁻¹S'r,

        H r = z + S R⁻ᵀ(D t - Y'z),  z = γH₀(r - Y t),  γ = s'y / y'H₀y.

    Args:
        pairs: bound m on the number of pairs kept of a run.
        keep: "spread", "first" or "last": the pairs that are kept (see `Keep`).
        initial: initial matrix H₀; None is the identity.
    """

    def __init__(
        self, pairs: int = 16, keep: str = "spread", initial: Preconditioner | None = None
    ) -> None:
        if pairs < 1:
            raise ValueError(f"preconditioner.pairs: needs at least 1, found {pairs}")
        self.initial = initial
        self._space: Space = UNSHARDED
        self._scratch: Tensor | None = None
        self._observed = PairStore(pairs, Keep(keep))
        self._buffer: Tensor | None = None
        self._pairs: Tensor | None = None
        self._gram: Tensor | None = None
        self._damping = 0.0
        self._compact: tuple[Tensor, Tensor, float] | None = None

    @property
    def space(self) -> Space:
        """The space of its vectors; the pairs are divided as they are."""
        return self._space

    @space.setter
    def space(self, space: Space) -> None:
        self._space = space
        if self.initial is not None:
            self.initial.space = space

    @property
    def count(self) -> int:
        """Number of pairs in use."""
        return 0 if self._pairs is None else self._pairs.shape[0] // 2

    def memory(self, size: ProblemSize) -> int:
        """Return the bytes of the pairs in use and to come, the initial matrix and its vector."""
        pairs = size.shards(4 * self._observed.size)
        if self.initial is None:
            return pairs
        return pairs + size.shards(1) + self.initial.memory(size)

    def prepare(self, damping: float, statistics: CurvatureStatistics) -> None:
        """Make the small matrices of this λ."""
        if self.initial is not None:
            self.initial.prepare(damping, statistics)
        self._damping, self._compact = damping, None
        if self._gram is None:
            return
        m = self.count
        ss, sg, gg = self._gram[:m, :m], self._gram[:m, m:], self._gram[m:, m:]
        sy = sg + damping * ss
        yy = gg + damping * (sg + sg.T) + damping**2 * ss
        upper, diagonal = torch.triu(sy), torch.diag(torch.diagonal(sy))
        if self.initial is not None:
            self._compact = (upper, diagonal, float(sy[-1, -1]) / self._newest_in_initial())
            return
        gamma = float(sy[-1, -1] / yy[-1, -1])
        self._compact = (upper, diagonal + gamma * yy, gamma)

    def _newest_in_initial(self) -> float:
        """Return y'H₀y of the newest pair."""
        assert self.initial is not None and self._pairs is not None
        m = self.count
        if self._scratch is None:
            self._scratch = torch.empty_like(self._pairs[0])
        y = torch.add(self._pairs[2 * m - 1], self._pairs[m - 1], alpha=self._damping)
        return self._space.dot(y, self.initial.apply(y, out=self._scratch))

    def apply(self, residual: Tensor, out: Tensor | None = None) -> Tensor:
        """Return H r [n], in `out` if given; H₀ r (which may be r) while there are no pairs."""
        if self.initial is not None:
            return self._apply_on_initial(self.initial, residual, out)
        if self._compact is None:
            return residual
        assert self._pairs is not None
        upper, inner, gamma = self._compact
        m = self.count
        products = self._summed(self._pairs @ residual).to(upper)
        s_r = products[:m, None]
        y_r = products[m:, None] + self._damping * s_r
        t = torch.linalg.solve_triangular(upper, s_r, upper=True)
        u = torch.linalg.solve_triangular(upper.T, inner @ t - gamma * y_r, upper=False)
        # S u - γ Y t with Y = G S + λ S, so that Y is never formed.
        weights = torch.cat([u - gamma * self._damping * t, -gamma * t]).squeeze(1)
        return torch.addmv(residual, self._pairs.T, weights.to(residual), beta=gamma, out=out)

    def _apply_on_initial(
        self, initial: Preconditioner, residual: Tensor, out: Tensor | None
    ) -> Tensor:
        if self._compact is None:
            return initial.apply(residual, out)
        assert self._pairs is not None and self._scratch is not None
        upper, diagonal, gamma = self._compact
        m, damping = self.count, self._damping
        s_r = self._summed(self._pairs[:m] @ residual).to(upper)[:, None]
        t = torch.linalg.solve_triangular(upper, s_r, upper=True)
        weights = torch.cat([damping * t, t]).squeeze(1).to(residual)
        rest = torch.addmv(residual, self._pairs.T, weights, alpha=-1.0, out=self._scratch)
        z = initial.apply(rest, out).mul_(gamma)
        products = self._summed(self._pairs @ z).to(upper)[:, None]
        y_z = products[m:] + damping * products[:m]
        u = torch.linalg.solve_triangular(upper.T, diagonal @ t - y_z, upper=False)
        return z.addmv_(self._pairs[:m].T, u.squeeze(1).to(z))

    def _summed(self, products: Tensor) -> Tensor:
        """Add up inner products of parts over the processes."""
        return products if self._space is UNSHARDED else self._space.all_reduce(products.double())

    def observe(self, direction: Tensor, product: Tensor) -> None:
        """Offer a pair for the next run."""
        self._observed.add(direction, product, self._space)

    def finish(self) -> None:
        """Replace the pairs in use by those of the run, where it gave any."""
        if self.initial is not None:
            self.initial.finish()
        if self._observed.count:
            # The buffer of the pairs in use becomes the one for the pairs after these.
            self._buffer, count = self._observed.take(spare=self._buffer)
            self._use(self._buffer[: 2 * count])

    def _use(self, pairs: Tensor) -> None:
        self._pairs = pairs
        wide = pairs.double() if pairs.numel() <= 1 << 24 else pairs
        self._gram = self._space.all_reduce((wide @ wide.T).double()).cpu()
        self._compact = None

    def state_dict(self) -> State:
        """Return the pairs in use, whole, and the initial matrix's state."""
        tensors = {} if self._pairs is None else {"pairs": self._space.rows(self._pairs)}
        if self.initial is None:
            return {"tensors": tensors, "values": {}}
        inner = self.initial.state_dict()
        tensors |= nest("initial", inner["tensors"])
        return {"tensors": tensors, "values": inner["values"]}

    def load_state_dict(self, state: State) -> None:
        """Restore what `state_dict` returned."""
        tensors = state["tensors"]
        if "pairs" in tensors:
            self._use(self._space.shard(tensors["pairs"]))
        if self.initial is not None:
            inner = nested("initial", tensors)
            self.initial.load_state_dict({"tensors": inner, "values": state["values"]})
