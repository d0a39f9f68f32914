"""Rules that decide whether a step is taken, and how far."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from torch import Tensor

from asr_hf.hf.line_search import Armijo, backtrack
from asr_hf.hf.objective import LossSum, Objective, Sample
from asr_hf.hf.solvers.base import Iterate, SolverResult
from asr_hf.hf.verdict import Outcome, Verdict
from asr_hf.runtime.clock import PhaseClock


@dataclass(frozen=True)
class Proposal:
    """The outcome of a CG run, and what there is to judge it by.

    Args:
        objective: the loss.
        theta: θ [n], where the run started.
        run: the run with its iterates.
        gradient: mean gradient at θ [n].
        sample: the gradient sample.
        loss: mean loss on the gradient sample at θ.
        heldout: the held-out sample.
        before: loss on the held-out sample at θ.
        clock: measures the time that judging takes.
    """

    objective: Objective
    theta: Tensor
    run: SolverResult
    gradient: Tensor
    sample: Sample
    loss: float
    heldout: Sample
    before: LossSum
    clock: PhaseClock

    def heldout_at(self, iterate: Iterate, length: float = 1.0) -> LossSum:
        """Return the held-out loss at θ + αd."""
        return self.objective.loss(self.moved(iterate, length), self.heldout)

    def moved(self, iterate: Iterate, length: float) -> Tensor:
        """Return θ + αd [n]."""
        return self.theta.add(self.objective.space.whole(iterate.d), alpha=length)


class Acceptance(Protocol):
    """Judges proposals.

    Attributes:
        usual_losses: usual number of losses on the held-out and on the gradient sample.
    """

    usual_losses: ClassVar[tuple[int, int]]

    def judge(self, proposal: Proposal) -> Verdict:
        """Decide on a step."""
        ...


@dataclass
class Backtracking:
    """The best of CG's iterates by held-out loss, then a line search (Kingsbury et al. 2012).

    A step must lower the held-out loss. λ follows the reduction ratio, which compares q(d_N) with
    the loss on the gradient sample, where q's gradient comes from; q's curvature comes from a
    subset of it, as in Byrd et al. (2012).

    Args:
        line_search: finds the step length along the chosen iterate.
    """

    # The last iterates, until one is better than the next; then ρ and the first length.
    usual_losses: ClassVar[tuple[int, int]] = (3, 2)
    line_search: Armijo = field(default_factory=Armijo)

    def judge(self, proposal: Proposal) -> Verdict:
        """See `Acceptance`."""
        tried: dict[int, LossSum] = {}

        def heldout_of(iterate: Iterate) -> float:
            tried[iterate.iteration] = proposal.heldout_at(iterate)
            return tried[iterate.iteration].mean

        with proposal.clock.phase("backtrack"):
            chosen, _ = backtrack(proposal.run.iterates, heldout_of)
        heldout, rho, length = tried[chosen.iteration], None, 0.0
        if heldout.mean < proposal.before.mean:
            with proposal.clock.phase("line_search"):
                trial = _Trial(proposal)
                rho = trial.reduction_ratio(proposal.run.iterates[-1])
                slope = proposal.objective.space.dot(proposal.gradient, chosen.d)
                length = self.line_search.search(trial.along(chosen), proposal.loss, slope)
                if length not in (0.0, 1.0):
                    heldout = proposal.heldout_at(chosen, length)
        if length > 0 and heldout.mean < proposal.before.mean:
            return Verdict(Outcome.MEASURED, chosen, length, heldout, rho)
        return Verdict(Outcome.REJECTED, chosen, 0.0, proposal.before, rho)


@dataclass
class PairedTest:
    """CG's last iterate, unless held-out units say that it is worse.

    With δ_u the loss of held-out unit u after the step minus before, t = Σδ / √(Σ(δ_u - f_u δ̄)²)
    compares the step with chance on the same units, f_u their frames and δ̄ the mean of a frame.
    A step with t > `worse` is rejected and λ grows; one with t < -`better` lets λ fall; between
    the two the step is taken and λ stays. With small samples, where the loss of the gradient
    sample says little, this costs one loss pass over few frames. Steps that are a little worse
    belong to small samples: `averaging` and the next steps mend them, rejecting them costs more.

    Args:
        better: standard errors that let λ fall.
        worse: standard errors that reject a step.
    """

    usual_losses: ClassVar[tuple[int, int]] = (1, 0)
    better: float = 2.0
    worse: float = 10.0

    def __post_init__(self) -> None:
        if not (self.better > 0 and self.worse > 0):
            raise ValueError("acceptance: needs better > 0 and worse > 0")

    def judge(self, proposal: Proposal) -> Verdict:
        """See `Acceptance`."""
        last = proposal.run.iterates[-1]
        with proposal.clock.phase("heldout"):
            after = proposal.heldout_at(last)
            score = self.score(proposal, after)
        if not score <= self.worse:
            return Verdict(Outcome.REJECTED, last, 0.0, proposal.before, None)
        outcome = Outcome.BETTER if score < -self.better else Outcome.UNCLEAR
        change = after.mean - proposal.before.mean
        rho = change / last.value if last.value < 0 else None
        return Verdict(outcome, last, 1.0, after, rho)

    def score(self, proposal: Proposal, after: LossSum) -> float:
        """Return t, which is inf where the loss is not finite."""
        change = (after.per_unit - proposal.before.per_unit).cpu()
        if not math.isfinite(after.total):
            return math.inf
        frames = proposal.objective.unit_frames(proposal.heldout.split)[proposal.heldout.units]
        mean = float(change.sum()) / max(1, after.num_frames)
        spread = float((change - mean * change.new_tensor(frames)).square().sum().sqrt())
        return float(change.sum()) / spread if spread > 0 else 0.0


class _Trial:
    """Losses on the gradient sample around one θ, each computed once."""

    def __init__(self, proposal: Proposal) -> None:
        self._proposal = proposal
        self._known: dict[tuple[int, float], float] = {}

    def at(self, iterate: Iterate, length: float) -> float:
        """Return L(θ + αd) on the gradient sample."""
        key = (iterate.iteration, length)
        if key not in self._known:
            theta = self._proposal.moved(iterate, length)
            loss = self._proposal.objective.loss(theta, self._proposal.sample)
            self._known[key] = loss.mean
        return self._known[key]

    def along(self, iterate: Iterate) -> Callable[[float], float]:
        """Return the function α -> L(θ + αd)."""
        return lambda length: self.at(iterate, length)

    def reduction_ratio(self, last: Iterate) -> float:
        """Return ρ = (L(θ+d_N) - L(θ)) / q(d_N), which is -inf where the loss is not finite."""
        loss = self.at(last, 1.0)
        if not math.isfinite(loss) or not last.value < 0:
            return -math.inf
        return (loss - self._proposal.loss) / last.value
