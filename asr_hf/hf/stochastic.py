"""Hessian-free training by many short steps on small samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from asr_hf.hf.annealing import Annealing
from asr_hf.hf.averaging import add_to_mean
from asr_hf.hf.damping import DampedOperator
from asr_hf.hf.divergence import Divergence
from asr_hf.hf.fisher_pull import pull_memory, strengthened
from asr_hf.hf.gradient import mean_gradient
from asr_hf.hf.horizon import Horizon
from asr_hf.hf.memory import MemoryNeed, ProblemSize
from asr_hf.hf.needs import OptimiserNeeds
from asr_hf.hf.objective import Objective, Split
from asr_hf.hf.pass_cost import PassCost
from asr_hf.hf.penalty import penalised
from asr_hf.hf.preconditioners.base import Preconditioner
from asr_hf.hf.sampling.base import SampleSizes, SamplingSchedule, UnitSampler
from asr_hf.hf.state import State, copied, nest, nested, restore
from asr_hf.hf.statistics import SampleStatistics
from asr_hf.hf.step_length import ModelLength
from asr_hf.hf.warm_up import WarmUp
from asr_hf.runtime.clock import PhaseClock, Stopwatch

# Iterations whose passes are counted for a run that ends by its seconds: the first are shorter.
_COUNTED_ITERATIONS = 10


class StochasticHessianFree:
    """Minimises an objective by preconditioned gradients, whose length the quadratic model sets.

    Each `step()` is one outer iteration. The preconditioner M learns the curvature at θ from a
    small sample, and the quadratic model there gives the length α of steps along M⁻¹g (see
    `ModelLength`). Then several gradient samples move θ by

        p ← μ p + M⁻¹ g,    θ ← θ - (1 - μ) α a (M⁻¹ g + μ p),

    with the momentum μ in the place of CG's start, looked ahead along as Nesterov does (Sutskever
    et al. 2013, appendix), and the annealing a(t), which takes the noise of small samples out of θ
    in the end. No loss is measured and no rate is tuned: α is the length at which the model is
    least, and 1 - μ makes the sum over steps a mean. If the losses of the samples say that the run
    diverges, it goes back to the last look at which all was well, and later steps are shorter.

    Args:
        objective: the loss, its gradient and curvature.
        theta: where to start [n]; not written to.
        preconditioner: M.
        sampling: how many frames gradients and curvature are of.
        annealing: the factor a of the steps' length.
        horizon: the end of the run.
        damping: λ.
        momentum: μ.
        weight_decay: ρ; the loss has ½ρ‖W‖² beside it per frame (see `Penalised`).
        pull: ρ of ½ρ‖θ - θ₀‖², which the loss has likewise; θ₀ is `theta`.
        pull_fisher: ρ of ½ρ(θ - θ₀)'F(θ - θ₀), likewise; F is the objective's `old_fisher`.
        steps: gradient steps of an iteration (see `WarmUp`).
        warm_up: number of gradient steps at the start in which they grow to their length.
        length_decay: decay of the measurements of α (see `ModelLength`).
        averaging: ᾱ; `estimate` is the running mean θ̄ ← ᾱ θ̄ + (1 - ᾱ) θ over iterations. 0
            reports the iterates themselves.
        seed: fixes every sample.
    """

    name = "hf"
    needs = OptimiserNeeds(whole_vectors=False, coarse_gradients=True)

    def __init__(
        self,
        *,
        objective: Objective,
        theta: Tensor,
        preconditioner: Preconditioner,
        sampling: SamplingSchedule,
        annealing: Annealing,
        horizon: Horizon,
        damping: float = 5e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        pull: float = 0.0,
        pull_fisher: float = 0.0,
        steps: int = 15,
        warm_up: int = 30,
        length_decay: float = 0.5,
        averaging: float = 0.0,
        seed: int = 0,
    ) -> None:
        positive = damping > 0 and steps >= 1 and warm_up >= 0
        if not (positive and 0 <= momentum < 1 and 0 <= averaging < 1):
            raise ValueError(
                "trainer: needs damping > 0, 0 <= momentum < 1, steps >= 1, warm_up >= 0, "
                "0 <= averaging < 1"
            )
        self.fisher = strengthened(objective, pull_fisher)
        self.objective = penalised(objective, theta, weight_decay, pull, self.fisher)
        self.theta, self.weight_decay, self.pull = theta.clone(), weight_decay, pull
        self.preconditioner, self.sampling = preconditioner, sampling
        self.annealing, self.horizon, self.length = annealing, horizon, ModelLength(length_decay)
        self.damping, self.momentum = damping, momentum
        self.warm_up, self.divergence = WarmUp(steps, warm_up), Divergence()
        # The parameters, with the statistics of normalisation; and the last at which all was well.
        self.place = {"theta": self.theta, **nest("statistics", objective.statistics)}
        self.sound = copied(self.place)
        self.averaging, self.seed = averaging, seed
        self.sampler = UnitSampler(objective.unit_frames(Split.TRAIN), seed)
        self.space = preconditioner.space = objective.space
        self.velocity = torch.zeros_like(self.space.shard(self.theta))
        self.average = self.theta.clone() if averaging else None
        self.iteration = 0
        # What the horizon is measured by.
        self.frames, self.seconds, self.stopwatch = 0, 0.0, Stopwatch()

    @property
    def estimate(self) -> Tensor:
        """The parameters found so far [n]: the iterate, or the running mean of iterates."""
        return self.theta if self.average is None else self.average

    @property
    def progress(self) -> float:
        """The share of the run that is over."""
        return self.horizon.progress(self.frames / max(1, self.sampler.total), self.seconds)

    @property
    def finished(self) -> bool:
        """Whether training has ended."""
        return self.progress >= 1.0 or self.annealing.finished(self.progress)

    @property
    def limit(self) -> str:
        """The setting that ended training; empty while it goes on, or where it annealed itself."""
        return self.horizon.key if self.progress >= 1.0 else ""

    def memory(self, size: ProblemSize) -> MemoryNeed:
        """Return what it allocates: g, M⁻¹g, product, velocity, step, θ twice, θ₀, its parts."""
        own = size.shards(4) + size.vectors(2 + bool(self.averaging))
        if size.shares > 1:
            own += size.vectors(2)
        parts = self.preconditioner.memory(size) + pull_memory(size, self.pull, self.fisher)
        return MemoryNeed(own + parts, self.sampling.max_curvature(self.sampler.total))

    @property
    def seconds_given(self) -> float | None:
        """See `Optimiser`: `trainer.horizon.seconds`."""
        return self.horizon.seconds

    def pass_costs(self) -> list[PassCost]:
        """Return the passes of each iteration; a run of so many seconds counts some of them."""
        costs: list[PassCost] = []
        frames = 0
        while len(costs) < _COUNTED_ITERATIONS or self.horizon.seconds is None:
            sizes = self.sampling.sizes(len(costs), self.sampler.total)
            gradients = sizes.gradient * self.warm_up.steps(len(costs))
            costs.append(PassCost(gradients + sizes.curvature, 0, sizes.curvature, (1, 1)))
            frames += gradients
            if self.horizon.progress(frames / max(1, self.sampler.total), 0.0) >= 1.0:
                break
        return costs

    def step(self) -> dict[str, Any]:
        """Run one outer iteration and return its event."""
        with self.stopwatch:
            return self._step()

    def _step(self) -> dict[str, Any]:
        clock = PhaseClock(self.objective.device)
        self.objective.begin_iteration(self.iteration)
        sizes = self.sampling.sizes(self.iteration, self.sampler.total)
        total = frames = factor = 0.0
        for number in range(self.warm_up.steps(self.iteration)):
            with clock.phase("gradient"), self.objective.statistics_of_samples():
                sample = self.sampler.draw(sizes.gradient)
                loss, gradient = mean_gradient(
                    self.objective, self.theta, sample, self.iteration + 1
                )
            total, frames = total + loss.data_mean * loss.num_frames, frames + loss.num_frames
            diverged = self.divergence.observe(loss.data_mean)
            if diverged:
                self._take_back()
                self._advance(loss.num_frames)
                break
            if number == 0:
                if not self.divergence.suspected:
                    restore(self.sound, self.place)
                with clock.phase("curvature"):
                    direction = self._learn_curvature(sizes, gradient, loss.num_frames)
            warmth = self.warm_up.factor(self.iteration, number, self.progress)
            factor = warmth * self.annealing.factor(self.progress)
            with clock.phase("step"):
                if number > 0:
                    direction = self.preconditioner.apply(gradient)
                self._move(direction, factor)
            self._advance(loss.num_frames)
            if self.finished:
                break
        self.iteration += 1
        if self.average is not None:
            add_to_mean(self.average, self.theta, self.averaging, self.iteration)
        if not diverged:
            self.annealing.observe(self.progress, total / frames)
        return {
            "iteration": self.iteration,
            "optimiser": self.name,
            "train_loss": total / frames,
            "lambda": self.damping,
            "length": self.length.value,
            "annealing": factor,
            "diverged": diverged,
            "gradient_frames": int(frames),
            "curvature_frames": sizes.curvature,
            "gradient_norm": self.space.norm(gradient),
            "phase_seconds": clock.seconds,
        }

    def _advance(self, frames: int) -> None:
        """Go on along the horizon; all processes by one clock."""
        self.frames += frames
        if self.horizon.seconds is not None:
            self.seconds = self.objective.common(self.stopwatch.seconds)

    def _learn_curvature(self, sizes: SampleSizes, gradient: Tensor, num_frames: int) -> Tensor:
        """Renew M and measure the length of steps on a sample of their own; return M⁻¹g [n]."""
        sample = self.sampler.draw(sizes.curvature)
        statistics = SampleStatistics(
            self.objective,
            self.theta,
            sample,
            gradient,
            self.seed + self.iteration,
            self.weight_decay + self.pull,
            self.fisher,
        )
        self.sampling.observe(statistics, num_frames)
        self.preconditioner.prepare(self.damping, statistics)
        operator = DampedOperator(self.objective.curvature(self.theta, sample), self.damping)
        direction = self.preconditioner.apply(gradient)
        self.length.measure(operator, gradient, direction, self.space)
        return direction

    def _move(self, direction: Tensor, factor: float) -> None:
        """Take one step, given M⁻¹g [n] and the annealing's factor."""
        self.velocity.mul_(self.momentum).add_(direction)
        step = torch.add(direction, self.velocity, alpha=self.momentum)
        length = (1 - self.momentum) * self.length.value * factor
        self.theta.add_(self.space.whole(step), alpha=-length)

    def _take_back(self) -> None:
        """Go on from the last sound place, at rest and by shorter steps."""
        restore(self.place, self.sound)
        self.velocity.zero_()
        self.length.shorten()
        self.divergence.settle()

    def state_dict(self) -> State:
        """Return everything that the next iteration depends on."""
        inner = self.preconditioner.state_dict()
        return {
            "tensors": {
                "theta": self.theta,
                "velocity": self.space.whole(self.velocity),
                **({} if self.average is None else {"average": self.average}),
                **nest("sound", self.sound),
                **nest("preconditioner", inner["tensors"]),
            },
            "values": {
                "iteration": self.iteration,
                "frames": self.frames,
                # Those that all processes have in common, not what this one's clock says.
                "seconds": self.seconds,
                "position": self.sampler.position,
                "length": self.length.state_dict(),
                "divergence": self.divergence.state_dict(),
                "annealing": self.annealing.state_dict(),
                "sampling": self.sampling.state_dict(),
                "preconditioner": inner["values"],
            },
        }

    def load_state_dict(self, state: State) -> None:
        """Restore what `state_dict` returned."""
        tensors, values = state["tensors"], state["values"]
        self.theta.copy_(tensors["theta"])
        self.velocity.copy_(self.space.shard(tensors["velocity"]))
        if self.average is not None:
            self.average.copy_(tensors["average"])
        self.iteration, self.frames = values["iteration"], values["frames"]
        self.seconds, self.sampler.position = values["seconds"], values["position"]
        self.stopwatch = Stopwatch(self.seconds)
        self.length.load_state_dict(values["length"])
        self.divergence.load_state_dict(values["divergence"])
        self.annealing.load_state_dict(values["annealing"])
        self.sampling.load_state_dict(values["sampling"])
        restore(self.sound, nested("sound", tensors))
        device = self.theta.device
        inner = {k: v.to(device) for k, v in nested("preconditioner", tensors).items()}
        self.preconditioner.load_state_dict({"tensors": inner, "values": values["preconditioner"]})
