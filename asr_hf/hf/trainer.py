"""The outer loop of Hessian-free training (Kingsbury et al. 2012; Sainath et al. 2013)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from asr_hf.hf.damping import DampedOperator, LevenbergMarquardt
from asr_hf.hf.line_search import Armijo, backtrack
from asr_hf.hf.memory import MemoryNeed, ProblemSize
from asr_hf.hf.objective import LossSum, Objective, Part, Sample
from asr_hf.hf.preconditioners.base import Preconditioner
from asr_hf.hf.sampling.base import SamplingSchedule, UnitSampler
from asr_hf.hf.solvers.base import Iterate, Solver, SolverResult
from asr_hf.hf.statistics import SampleStatistics
from asr_hf.hf.vectors import dot, is_finite, norm
from asr_hf.runtime.clock import PhaseClock
from asr_hf.runtime.errors import RunError


@dataclass(frozen=True)
class Stopping:
    """When training ends.

    Args:
        max_iterations: outer iterations.
        patience: iterations over which progress is judged; 0 turns the test off.
        min_improvement: relative fall of the acceptance loss over `patience` iterations below
            which training has converged.
    """

    max_iterations: int = 50
    patience: int = 8
    min_improvement: float = 1e-3

    def reached(self, losses: list[float]) -> bool:
        """Whether to stop, given the acceptance loss at the start and after each iteration."""
        done = len(losses) - 1
        if done >= self.max_iterations:
            return True
        if not self.patience or done < self.patience:
            return False
        before = losses[-1 - self.patience]
        return before - losses[-1] < self.min_improvement * abs(before)


class HessianFree:
    """Minimises an objective by Gauss-Newton steps found with conjugate gradients.

    Each `step()` is one outer iteration: gradient on its sample, CG on the curvature sample from
    a decayed warm start, backtracking over CG's iterates on the held-out loss, damping by the
    reduction ratio, an Armijo search along the iterate chosen, and a last held-out test.

    The reduction ratio compares q(d_N) with the loss on the gradient sample, where q's gradient
    comes from; q's curvature comes from a subset of it, as in Byrd et al. (2012).

    Args:
        objective: the loss, its gradient and curvature.
        theta: where to start [n]; not written to.
        solver: CG.
        preconditioner: M of the CG runs.
        sampling: how many frames each iteration uses.
        damping: λ and its rule.
        line_search: step length along the chosen iterate.
        stopping: when to end.
        warm_start_decay: β; CG starts from β times the step taken before. (The paper starts
            from β d_N, which hurts whenever the step taken is shorter than d_N.)
        heldout_frames: bound on the frames of the acceptance test; None takes all.
        seed: fixes every sample.
    """

    name = "hf"

    def __init__(
        self,
        *,
        objective: Objective,
        theta: Tensor,
        solver: Solver,
        preconditioner: Preconditioner,
        sampling: SamplingSchedule,
        damping: LevenbergMarquardt,
        line_search: Armijo,
        stopping: Stopping,
        warm_start_decay: float = 0.95,
        heldout_frames: int | None = None,
        seed: int = 0,
    ) -> None:
        self.objective, self.theta = objective, theta.clone()
        self.solver, self.preconditioner, self.sampling = solver, preconditioner, sampling
        self.damping, self.line_search, self.stopping = damping, line_search, stopping
        self.warm_start_decay, self.seed = warm_start_decay, seed
        self.sampler = UnitSampler(objective.unit_frames(Part.TRAIN), seed)
        self.heldout = _heldout_sample(objective, heldout_frames, seed)
        self.warm_start = torch.zeros_like(self.theta)
        self.iteration = 0
        self.losses: list[float] = []

    @property
    def finished(self) -> bool:
        """Whether training has ended."""
        return bool(self.losses) and self.stopping.reached(self.losses)

    def memory(self, size: ProblemSize) -> MemoryNeed:
        """What it will allocate: gradient, its negative, a trial θ, and what its parts hold."""
        parts = self.solver.memory(size) + self.preconditioner.memory(size)
        return MemoryNeed(size.vectors(3) + parts, self.sampling.most_curvature(self.sampler.total))

    def step(self) -> dict[str, Any]:
        """Run one outer iteration and return its event."""
        clock = PhaseClock(self.objective.device)
        if not self.losses:
            with clock.phase("heldout"):
                self.losses.append(self._heldout_loss(self.theta).mean)
        gradient_sample, curvature_sample = self._draw()
        with clock.phase("gradient"):
            loss, gradient = self._gradient(gradient_sample)
        with clock.phase("curvature"):
            run = self._minimise_quadratic(gradient, gradient_sample, curvature_sample)
        with clock.phase("backtrack"):
            chosen, heldout = backtrack(run.iterates, self._heldout_along)
        used_damping = self.damping.value
        trial = _Trial(self, gradient_sample, loss.mean)
        rho, length = None, 0.0
        if heldout < self.losses[-1]:
            with clock.phase("line_search"):
                rho = trial.reduction_ratio(run.iterates[-1])
                slope = dot(gradient, chosen.d)
                length = self.line_search.search(trial.along(chosen), loss.mean, slope)
                if length not in (0.0, 1.0):
                    heldout = self._heldout_along(chosen, length)
        accepted = length > 0 and heldout < self.losses[-1]
        self._move(chosen, length if accepted else 0.0, rho, heldout)
        return {
            "iteration": self.iteration,
            "optimiser": self.name,
            "train_loss": loss.mean,
            "acceptance_loss": self.losses[-1],
            "lambda": used_damping,
            "rho": rho,
            "cg_iterations": run.iterations,
            "cg_reason": str(run.reason),
            "cg_value": run.values[-1],
            "cg_drift": run.drift,
            "cg_precision": str(run.precision),
            "iterate": chosen.iteration,
            "step": length if accepted else 0.0,
            "accepted": accepted,
            "gradient_norm": norm(gradient),
            "gradient_frames": loss.frames,
            "curvature_frames": int(self.sampler.frames[curvature_sample.units].sum()),
            "phase_seconds": clock.seconds,
        }

    def _draw(self) -> tuple[Sample, Sample]:
        """This iteration's gradient sample, and a curvature sample inside it."""
        sizes = self.sampling.sizes(self.iteration, self.sampler.total)
        gradient_sample = self.sampler.draw(sizes.gradient)
        return gradient_sample, self.sampler.subset(
            gradient_sample, min(sizes.curvature, sizes.gradient), self.iteration
        )

    def _gradient(self, sample: Sample) -> tuple[LossSum, Tensor]:
        """Loss and mean gradient [n] on the gradient sample."""
        loss, gradient = self.objective.gradient(self.theta, sample)
        gradient.div_(max(1, loss.frames))
        if not (math.isfinite(loss.total) and is_finite(gradient)):
            raise RunError(
                f"iteration {self.iteration + 1}: the loss or its gradient is not finite "
                f"({loss.total} over {loss.frames} frames)",
                remedy="check the features for outliers, or lower the initial weights' scale",
            )
        return loss, gradient

    def _minimise_quadratic(
        self, gradient: Tensor, gradient_sample: Sample, curvature_sample: Sample
    ) -> SolverResult:
        """CG on q(d) = g'd + ½ d'(G + λI)d from the warm start."""
        statistics = SampleStatistics(
            self.objective,
            self.theta,
            curvature_sample,
            gradient,
            self.seed + self.iteration,
        )
        if self.sampling.needs_spread:
            frames = int(self.sampler.frames[gradient_sample.units].sum())
            self.sampling.learn(statistics.spread, frames)
        # First what needs passes of its own: the curvature then fills the memory that is left.
        self.preconditioner.prepare(self.damping.value, statistics)
        curvature = self.objective.curvature(self.theta, curvature_sample)
        run = self.solver.solve(
            DampedOperator(curvature, self.damping.value),
            gradient.neg(),
            self.warm_start,
            self.preconditioner,
        )
        self.preconditioner.finish()
        return run

    def _move(self, chosen: Iterate, length: float, rho: float | None, heldout: float) -> None:
        """Take the step (length 0: reject it) and steer λ and the warm start."""
        self.iteration += 1
        if length == 0.0:
            self.damping.reject()
            self.warm_start.zero_()
            self.losses.append(self.losses[-1])
            return
        if rho is not None:
            self.damping.update(rho)
        self.theta.add_(chosen.d, alpha=length)
        torch.mul(chosen.d, self.warm_start_decay * length, out=self.warm_start)
        self.losses.append(heldout)

    def _heldout_loss(self, theta: Tensor) -> LossSum:
        return self.objective.loss(theta, self.heldout)

    def _heldout_along(self, iterate: Iterate, length: float = 1.0) -> float:
        return self._heldout_loss(self.theta.add(iterate.d, alpha=length)).mean

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Return everything that the next iteration depends on."""
        inner = self.preconditioner.state_dict()
        return {
            "tensors": {
                "theta": self.theta,
                "warm_start": self.warm_start,
                **{f"preconditioner.{k}": v for k, v in inner["tensors"].items()},
            },
            "values": {
                "iteration": self.iteration,
                "losses": self.losses,
                "damping": self.damping.value,
                "position": self.sampler.position,
                "sampling": self.sampling.state_dict(),
                "preconditioner": inner["values"],
            },
        }

    def load_state_dict(self, state: dict[str, dict[str, Any]]) -> None:
        """Restore what `state_dict` returned."""
        tensors, values = state["tensors"], state["values"]
        self.theta.copy_(tensors["theta"])
        self.warm_start.copy_(tensors["warm_start"])
        self.iteration, self.losses = values["iteration"], list(values["losses"])
        self.damping.value = values["damping"]
        self.sampler.position = values["position"]
        self.sampling.load_state_dict(values["sampling"])
        prefix = "preconditioner."
        self.preconditioner.load_state_dict(
            {
                "tensors": {
                    k.removeprefix(prefix): v.to(self.theta.device)
                    for k, v in tensors.items()
                    if k.startswith(prefix)
                },
                "values": values["preconditioner"],
            }
        )


class _Trial:
    """Losses on the gradient sample around one θ, each computed once."""

    def __init__(self, trainer: HessianFree, sample: Sample, loss: float) -> None:
        self._trainer, self._sample, self._loss = trainer, sample, loss
        self._known: dict[tuple[int, float], float] = {}

    def at(self, iterate: Iterate, length: float) -> float:
        """L(θ + αd) on the gradient sample."""
        key = (iterate.iteration, length)
        if key not in self._known:
            theta = self._trainer.theta.add(iterate.d, alpha=length)
            self._known[key] = self._trainer.objective.loss(theta, self._sample).mean
        return self._known[key]

    def along(self, iterate: Iterate) -> Callable[[float], float]:
        """α -> L(θ + αd)."""
        return lambda length: self.at(iterate, length)

    def reduction_ratio(self, last: Iterate) -> float:
        """ρ = (L(θ+d_N) - L(θ)) / q(d_N); -inf where the loss is not finite."""
        loss = self.at(last, 1.0)
        if not math.isfinite(loss) or not last.value < 0:
            return -math.inf
        return (loss - self._loss) / last.value


def _heldout_sample(objective: Objective, frames: int | None, seed: int) -> Sample:
    """The units of the acceptance test, the same ones for a whole run."""
    sampler = UnitSampler(objective.unit_frames(Part.HELDOUT), seed)
    drawn = sampler.draw(sampler.total if frames is None else frames)
    return Sample(Part.HELDOUT, drawn.units)
