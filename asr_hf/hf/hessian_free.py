"""The outer loop of Hessian-free training (Kingsbury et al. 2012; Sainath et al. 2013)."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from asr_hf.hf.acceptance import Acceptance, Proposal
from asr_hf.hf.averaging import add_to_mean
from asr_hf.hf.damping import DampedOperator, Damping
from asr_hf.hf.event import IterationRecord
from asr_hf.hf.fisher_pull import pull_memory, strengthened
from asr_hf.hf.gradient import mean_gradient
from asr_hf.hf.memory import MemoryNeed, ProblemSize
from asr_hf.hf.needs import OptimiserNeeds
from asr_hf.hf.objective import LossSum, Objective, Sample, Split
from asr_hf.hf.pass_cost import PassCost, hf_pass_costs
from asr_hf.hf.penalty import penalised
from asr_hf.hf.preconditioners.base import Preconditioner
from asr_hf.hf.sampling.base import SamplingSchedule, UnitSampler
from asr_hf.hf.solvers.base import Solver, SolverResult
from asr_hf.hf.state import State, nest, nested
from asr_hf.hf.statistics import SampleStatistics
from asr_hf.hf.verdict import Verdict
from asr_hf.runtime.clock import PhaseClock


@dataclass(frozen=True)
class Stopping:
    """Ends training.

    Args:
        max_iterations: bound on the number of outer iterations.
        patience: number of iterations over which progress is judged; 0 turns the test off.
        min_improvement: relative fall of the acceptance loss, from its mean over `patience`
            iterations to that over the next ones, below which training has converged. Single
            losses of small samples say little.
    """

    max_iterations: int = 50
    patience: int = 8
    min_improvement: float = 1e-3

    def reached(self, losses: list[float]) -> bool:
        """Say whether to stop, given the acceptance loss at the start and after each iteration."""
        return len(losses) > self.max_iterations or self.converged(losses)

    def converged(self, losses: list[float]) -> bool:
        """Say whether progress has become small, given the same losses."""
        if not self.patience or len(losses) <= 2 * self.patience:
            return False
        before = fmean(losses[-2 * self.patience : -self.patience])
        return before - fmean(losses[-self.patience :]) < self.min_improvement * abs(before)


class HessianFree:
    """Minimises an objective by Gauss-Newton steps found with conjugate gradients.

    Each `step()` is one outer iteration: gradient on its sample, CG on the curvature sample with
    a decayed warm start, the acceptance rule, which chooses among CG's iterates and sets how far
    to go, and the damping rule, which chooses the next λ. The objective's statistics are fixed
    within an iteration and renewed before it, on the curvature sample; so is what dropout drops.

    Args:
        objective: the loss, its gradient and curvature.
        theta: the start [n]; not written to.
        solver: conjugate gradients.
        preconditioner: M of the CG runs.
        sampling: decides how many frames each iteration uses.
        damping: λ at the start and its rule.
        acceptance: decides which step is taken.
        stopping: ends training.
        warm_start_decay: β; CG is given β times the step taken before. (The paper gives β d_N,
            which hurts whenever the step taken is shorter than d_N.)
        weight_decay: ρ; training data have ½ρ‖W‖² beside their loss per frame (see `Penalised`).
            Neither acceptance nor reports do.
        pull: ρ of ½ρ‖θ - θ₀‖², which they have likewise; θ₀ is `theta`.
        pull_fisher: ρ of ½ρ(θ - θ₀)'F(θ - θ₀), likewise; F is the objective's `old_fisher`.
        heldout_frames: bound on the frames of the acceptance test; None takes all.
        averaging: ᾱ; `estimate` is the running mean θ̄ ← ᾱ θ̄ + (1 - ᾱ) θ, the k-th iterate weighing
            at least 1 / (k + 1) (Martens & Grosse 2015, section 10). It evens out what small
            samples do to single iterates. 0 reports the iterates themselves.
        seed: seed of every sample.
    """

    name = "hf"
    needs = OptimiserNeeds(whole_vectors=False)

    def __init__(
        self,
        *,
        objective: Objective,
        theta: Tensor,
        solver: Solver,
        preconditioner: Preconditioner,
        sampling: SamplingSchedule,
        damping: Damping,
        acceptance: Acceptance,
        stopping: Stopping,
        warm_start_decay: float = 0.95,
        weight_decay: float = 0.0,
        pull: float = 0.0,
        pull_fisher: float = 0.0,
        heldout_frames: int | None = None,
        averaging: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not 0 <= averaging < 1:
            raise ValueError(f"trainer.averaging: needs 0 <= averaging < 1, found {averaging}")
        self.fisher = strengthened(objective, pull_fisher)
        self.objective = penalised(objective, theta, weight_decay, pull, self.fisher)
        self.theta, self.weight_decay, self.pull = theta.clone(), weight_decay, pull
        self.solver, self.preconditioner, self.sampling = solver, preconditioner, sampling
        self.damping, self.acceptance, self.stopping = damping, acceptance, stopping
        self.warm_start_decay, self.averaging, self.seed = warm_start_decay, averaging, seed
        self.sampler = UnitSampler(objective.unit_frames(Split.TRAIN), seed)
        self.heldout = _heldout_sample(objective, heldout_frames, seed)
        self.space = preconditioner.space = objective.space
        self.warm_start = torch.zeros_like(self.space.shard(self.theta))
        self.average = self.theta.clone() if averaging else None
        self.iteration = 0
        # λ of the next iteration.
        self.current_damping = damping.value
        # Acceptance loss at the start and after each iteration; the last one unit by unit.
        self.losses: list[float] = []
        self.heldout_loss: LossSum | None = None

    @property
    def estimate(self) -> Tensor:
        """The parameters found so far [n]: the iterate, or the running mean of iterates."""
        return self.theta if self.average is None else self.average

    @property
    def finished(self) -> bool:
        """Whether training has ended."""
        return bool(self.losses) and self.stopping.reached(self.losses)

    @property
    def limit(self) -> str:
        """The setting that ended training; empty while it goes on, or where it converged."""
        ended = self.finished and not self.stopping.converged(self.losses)
        return "trainer.stopping.max_iterations" if ended else ""

    def memory(self, size: ProblemSize) -> MemoryNeed:
        """Return the memory of gradient, its negative, a trial θ, a mean, θ₀, and its parts."""
        parts = self.solver.memory(size) + self.preconditioner.memory(size)
        parts += pull_memory(size, self.pull, self.fisher)
        vectors = size.shards(2) + size.vectors(1 + bool(self.averaging))
        if size.shares > 1:
            # A whole vector before a product, and one after it.
            vectors += size.vectors(2)
        return MemoryNeed(vectors + parts, self.sampling.max_curvature(self.sampler.total))

    @property
    def seconds_given(self) -> None:
        """It ends by its iterations."""
        return None

    def pass_costs(self) -> list[PassCost]:
        """Return the passes of every iteration; variance-tested samples do not grow here."""
        heldout = int(self.objective.unit_frames(Split.HELDOUT)[self.heldout.units].sum())
        iterations = range(self.stopping.max_iterations)
        sizes = [self.sampling.sizes(k, self.sampler.total) for k in iterations]
        return hf_pass_costs(
            sizes, heldout, self.acceptance.usual_losses, self.solver.max_iterations
        )

    def step(self) -> dict[str, Any]:
        """Run one outer iteration and return its event."""
        clock, theta, damping = PhaseClock(self.objective.device), self.theta, self.current_damping
        self.objective.begin_iteration(self.iteration)
        sizes = self.sampling.sizes(self.iteration, self.sampler.total)
        sample, curvature_sample = self.sampler.pair(sizes, self.iteration)
        with clock.phase("gradient"):
            if self.objective.renew_statistics(theta, curvature_sample):
                # The loss is another function of θ now.
                self.heldout_loss = None
        before = self._heldout_before(clock)
        with clock.phase("gradient"):
            loss, gradient = mean_gradient(self.objective, theta, sample, self.iteration + 1)
        with clock.phase("curvature"):
            run = self._minimise_quadratic(curvature_sample, loss.num_frames, gradient, damping)
        proposal = Proposal(
            objective=self.objective,
            theta=theta,
            run=run,
            gradient=gradient,
            sample=sample,
            loss=loss.mean,
            heldout=self.heldout,
            before=before,
            clock=clock,
        )
        verdict = self.acceptance.judge(proposal)
        self.current_damping = self.damping.next(damping, verdict)
        self._move(verdict)
        norm, frames = self.space.norm(gradient), self.sampler.frames_of(curvature_sample)
        return IterationRecord(
            self.iteration, self.name, loss, damping, run, verdict, norm, frames, clock.seconds
        ).event()

    def _heldout_before(self, clock: PhaseClock) -> LossSum:
        """Return the held-out loss at θ, known from the step before or measured now."""
        if self.heldout_loss is None:
            with clock.phase("heldout"):
                self.heldout_loss = self.objective.loss(self.theta, self.heldout)
            if not self.losses:
                self.losses.append(self.heldout_loss.mean)
        return self.heldout_loss

    def _minimise_quadratic(
        self, sample: Sample, gradient_frames: int, gradient: Tensor, damping: float
    ) -> SolverResult:
        """Run CG on q(d) = g'd + ½ d'(G + λI)d from the warm start."""
        statistics = SampleStatistics(
            self.objective,
            self.theta,
            sample,
            gradient,
            self.seed + self.iteration,
            self.weight_decay + self.pull,
            self.fisher,
        )
        self.sampling.observe(statistics, gradient_frames)
        # First what needs passes of its own: the curvature then fills the memory that is left.
        self.preconditioner.prepare(damping, statistics)
        # What they hold need not stand beside the vectors of CG.
        del statistics
        operator = DampedOperator(self.objective.curvature(self.theta, sample), damping)
        b, d0 = gradient.neg(), self.warm_start
        run = self.solver.solve(operator, b, d0, self.preconditioner, self.space)
        self.preconditioner.finish()
        return run

    def _move(self, verdict: Verdict) -> None:
        """Take the step (length 0: none), and keep what the next iteration starts from."""
        self.iteration += 1
        self.heldout_loss = verdict.heldout
        self.losses.append(verdict.heldout.mean)
        if verdict.length == 0.0:
            self.warm_start.zero_()
        else:
            self.theta.add_(self.space.whole(verdict.iterate.d), alpha=verdict.length)
            scale = self.warm_start_decay * verdict.length
            torch.mul(verdict.iterate.d, scale, out=self.warm_start)
        if self.average is not None:
            add_to_mean(self.average, self.theta, self.averaging, self.iteration)

    def state_dict(self) -> State:
        """Return everything that the next iteration depends on."""
        inner = self.preconditioner.state_dict()
        held = self.heldout_loss
        return {
            "tensors": {
                "theta": self.theta,
                "warm_start": self.space.whole(self.warm_start),
                **({} if self.average is None else {"average": self.average}),
                **({} if held is None else {"heldout_per_unit": held.per_unit}),
                **nest("preconditioner", inner["tensors"]),
            },
            "values": {
                "iteration": self.iteration,
                "losses": self.losses,
                "heldout": held and held.sums,
                "damping": self.current_damping,
                "position": self.sampler.position,
                "sampling": self.sampling.state_dict(),
                "preconditioner": inner["values"],
            },
        }

    def load_state_dict(self, state: State) -> None:
        """Restore what `state_dict` returned."""
        tensors, values = state["tensors"], state["values"]
        self.theta.copy_(tensors["theta"])
        self.warm_start.copy_(self.space.shard(tensors["warm_start"]))
        if self.average is not None:
            self.average.copy_(tensors["average"])
        self.iteration, self.losses = values["iteration"], list(values["losses"])
        device = self.theta.device
        if values["heldout"] is not None:
            per_unit = tensors["heldout_per_unit"].to(device)
            self.heldout_loss = LossSum.restore(values["heldout"], per_unit)
        self.current_damping = values["damping"]
        self.sampler.position = values["position"]
        self.sampling.load_state_dict(values["sampling"])
        inner = {k: v.to(device) for k, v in nested("preconditioner", tensors).items()}
        self.preconditioner.load_state_dict({"tensors": inner, "values": values["preconditioner"]})


def _heldout_sample(objective: Objective, frames: int | None, seed: int) -> Sample:
    """Choose the units of the acceptance test, the same ones for a whole run."""
    sampler = UnitSampler(objective.unit_frames(Split.HELDOUT), seed)
    drawn = sampler.draw(sampler.total if frames is None else frames)
    return Sample(Split.HELDOUT, drawn.units)
