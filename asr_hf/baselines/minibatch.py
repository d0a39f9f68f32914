"""What minibatch optimisers share: epochs, shuffling, learning rates, undoing, resuming."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from asr_hf.baselines.objective import MinibatchObjective, heldout_loss
from asr_hf.baselines.parameters import ParameterViews
from asr_hf.baselines.schedules import EpochJudge, Schedule
from asr_hf.baselines.update import Update
from asr_hf.curvature.vectors import is_finite
from asr_hf.hf.averaging import add_to_mean
from asr_hf.hf.horizon import Horizon
from asr_hf.hf.memory import MemoryNeed, ProblemSize
from asr_hf.hf.needs import OptimiserNeeds
from asr_hf.hf.objective import Split
from asr_hf.hf.pass_cost import PassCost
from asr_hf.hf.state import State, copied, nest, nested, restore
from asr_hf.runtime.clock import PhaseClock, Stopwatch
from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.progress import progress


class MinibatchTrainer(ABC):
    """Minimises an objective by one small step a minibatch of shuffled frames.

    Each `step()` is an epoch, or the same share of one each time. Held-out data are looked at only
    after whole epochs, by schedules that steer by them. The order of the frames follows from
    (seed, epoch) alone, so that a resumed run repeats an undisturbed one bit for bit. Updates are
    those of torch's optimisers on views of θ; the host waits for the device once a `step()`.

    Args:
        objective: the loss.
        theta: the start [n]; not written to.
        learning_rate: base rate, scaled by `schedule`.
        schedule: scales the rate of each minibatch and may end training early.
        batch_frames: number of frames of a minibatch.
        horizon: the end of the run; a step ends there, too.
        weight_decay: share of the weights that a step takes off, times the learning rate; biases
            are left alone. It is decoupled: no moment of the gradient sees it.
        averaging: ᾱ; `estimate` is the running mean θ̄ ← ᾱ θ̄ + (1 - ᾱ) θ over minibatches, the
            k-th iterate weighing at least 1 / (k + 1), as in `HessianFree`. 0 reports the iterates
            themselves.
        evaluations_per_epoch: number of steps, and so of events, in each epoch.
        seed: seed of the order of the frames.

    Raises:
        InputError: a setting is out of range.
    """

    needs = OptimiserNeeds(minibatches=True, coarse_gradients=True)
    name: str
    state_vectors: int

    def __init__(
        self,
        *,
        objective: MinibatchObjective[Any],
        theta: Tensor,
        learning_rate: float,
        schedule: Schedule,
        batch_frames: int,
        horizon: Horizon,
        weight_decay: float = 0.0,
        averaging: float = 0.0,
        evaluations_per_epoch: int = 1,
        seed: int = 0,
    ) -> None:
        self.objective, self.theta = objective, theta.detach().clone()
        self.learning_rate, self.schedule = learning_rate, schedule
        self.batch_frames, self.horizon, self.seed = batch_frames, horizon, seed
        self.weight_decay, self.averaging = weight_decay, averaging
        self.evaluations_per_epoch = evaluations_per_epoch
        self.batches_per_epoch = objective.num_minibatches(max(1, batch_frames))
        self._check()
        views = ParameterViews.of(self.theta, objective.parameters)
        self.update = Update(views, objective.parameters, self.make_optimisers(views))
        self.epoch, self.position, self.iteration = 0, 0, 0
        self.stopwatch = Stopwatch()
        # Where an undone epoch returns to, statistics included, and its held-out loss.
        self.judge = schedule if isinstance(schedule, EpochJudge) else None
        self.best = self.theta.clone() if self.judge else None
        self.best_statistics = copied(objective.statistics) if self.judge else {}
        self.best_loss: float | None = None
        self.average = self.theta.clone() if averaging else None
        # Number of iterates in the running mean.
        self.averaged = 0
        self._batches: Iterator[Any] | None = None

    def _check(self) -> None:
        settings = {
            "learning_rate": self.learning_rate > 0.0,
            "batch_frames": self.batch_frames >= 1,
            "weight_decay": self.weight_decay >= 0.0,
            "averaging": 0.0 <= self.averaging < 1.0,
            "evaluations_per_epoch": 1 <= self.evaluations_per_epoch <= self.batches_per_epoch,
        }
        for key, fits in settings.items():
            if not fits:
                raise InputError(
                    f"trainer.{key}: {getattr(self, key)} is out of range",
                    expected="a positive number; averaging below 1; no more evaluations than an "
                    f"epoch's {self.batches_per_epoch} minibatches",
                )

    def memory(self, size: ProblemSize) -> MemoryNeed:
        """Return the memory of the running means of its updates."""
        return MemoryNeed(size.vectors(self.state_vectors), gradient_frames=self.batch_frames)

    @property
    def seconds_given(self) -> float | None:
        """See `Optimiser`: `trainer.horizon.seconds`."""
        return self.horizon.seconds

    def pass_costs(self) -> list[PassCost]:
        """Return the passes of each part of an epoch, or of one where seconds end the run."""
        frames = int(self.objective.unit_frames(Split.TRAIN).sum())
        part = frames // self.evaluations_per_epoch
        epochs = self.horizon.epochs if self.horizon.seconds is None else 1.0
        # Rounding errors make no part.
        parts = math.ceil(epochs * self.evaluations_per_epoch - 1e-6)
        return [PassCost(part, 0)] * parts

    @abstractmethod
    def make_optimisers(self, views: ParameterViews) -> list[torch.optim.Optimizer]:
        """Return torch optimisers that have every parameter between them."""

    @property
    def estimate(self) -> Tensor:
        """The parameters found so far [n]: the iterate, or the running mean of iterates."""
        return self.theta if self.average is None else self.average

    @property
    def finished(self) -> bool:
        """Whether training has ended."""
        return self._progress() >= 1.0 or self.schedule.finished

    @property
    def limit(self) -> str:
        """The setting that ended training; empty while it goes on, or where it converged."""
        if self.schedule.finished or not self.finished:
            return ""
        return self.horizon.key

    def _progress(self, ahead: float = 0.0) -> float:
        """Return the share of the run that is over, given minibatches that are still to come."""
        epochs = self.epoch + (self.position + ahead) / self.batches_per_epoch
        return self.horizon.progress(epochs, self.stopwatch.seconds)

    def step(self) -> dict[str, Any]:
        """Train on the next part of an epoch and judge the epoch at its end.

        Returns:
            The event.

        Raises:
            RunError: the loss or a parameter is not finite.
        """
        with self.stopwatch:
            return self._train_part()

    def _train_part(self) -> dict[str, Any]:
        clock = PhaseClock(self.objective.device)
        if self.judge and self.best_loss is None:
            with clock.phase("heldout"):
                self.best_loss = heldout_loss(self.objective, self.theta)
            self._refuse_unless(math.isfinite(self.best_loss), "held-out", self.best_loss)
        rate, accepted = self._rate(), True
        with clock.phase("training"):
            train_loss = self._train_until(self._part_end())
            sound = math.isfinite(train_loss) and is_finite(self.theta)
        self.iteration += 1
        if self.judge is None:
            self._refuse_unless(sound, "training", train_loss)
        if self.position >= self.batches_per_epoch or not sound:
            self.epoch, self.position, self._batches = self.epoch + 1, 0, None
            if self.judge:
                with clock.phase("heldout"):
                    accepted = self._keep_or_undo(self.judge, sound)
        return {
            "iteration": self.iteration,
            "optimiser": self.name,
            "epoch": self.epoch + self.position / self.batches_per_epoch,
            "train_loss": train_loss if math.isfinite(train_loss) else None,
            "acceptance_loss": self.best_loss,
            "learning_rate": rate,
            "accepted": accepted,
            "phase_seconds": clock.seconds,
        }

    def _rate(self) -> float:
        """Return the learning rate of the next minibatch: that of its middle."""
        return self.learning_rate * self.schedule.factor(self._progress(0.5))

    def _part_end(self) -> int:
        """Return the number of the epoch's minibatches up to the end of its current part."""
        part = self.position * self.evaluations_per_epoch // self.batches_per_epoch + 1
        return math.ceil(part * self.batches_per_epoch / self.evaluations_per_epoch)

    def _refuse_unless(self, sound: bool, kind: str, loss: float) -> None:
        if not sound:
            raise RunError(
                f"{self.name}: the {kind} loss is {loss} and the parameters may not be finite, in "
                f"epoch {self.epoch + 1}, minibatch {self.position}",
                remedy=f"lower trainer.learning_rate (now {self.learning_rate}), or check the "
                "features for outliers",
            )

    def _train_until(self, end: int) -> float:
        """Take minibatches up to number `end` of the epoch; return their mean loss."""
        if self._batches is None:
            whole_epoch = self.objective.minibatches(self.seed, self.epoch, self.batch_frames)
            self._batches = islice(whole_epoch, self.position, None)
        total = torch.zeros((), dtype=torch.float64, device=self.theta.device)
        start = self.position
        batches = islice(self._batches, end - start)
        for batch in progress(batches, desc=f"epoch {self.epoch + 1}", total=end - start):
            loss, gradient = self.objective.minibatch_gradient(self.theta, batch)
            total += loss
            self.update.step(gradient, self._rate())
            self._average()
            self.position += 1
            if self.finished:
                break
        if self.position < end and not self.finished:
            raise RunError(
                f"epoch {self.epoch + 1} gave {self.position} minibatches",
                expected=f"{self.batches_per_epoch} of {self.batch_frames} frames",
            )
        return float(total) / (self.position - start)

    def _average(self) -> None:
        if self.average is not None:
            self.averaged += 1
            add_to_mean(self.average, self.theta, self.averaging, self.averaged)

    def _keep_or_undo(self, judge: EpochJudge, sound: bool) -> bool:
        """Keep or undo the epoch that has just ended; return whether it is kept."""
        assert self.best is not None and self.best_loss is not None
        after = heldout_loss(self.objective, self.theta) if sound else math.inf
        if judge.judge(self.best_loss, after):
            self.best.copy_(self.theta)
            restore(self.best_statistics, self.objective.statistics)
            self.best_loss = after
            return True
        self.theta.copy_(self.best)
        restore(self.objective.statistics, self.best_statistics)
        # Momentum gathered on the way to a worse place would lead back there.
        self.update.forget()
        if self.average is not None:
            self.average.copy_(self.theta)
            self.averaged = 0
        return False

    def state_dict(self) -> State:
        """Return everything that the next step depends on."""
        return {
            "tensors": {
                "theta": self.theta,
                **({} if self.best is None else {"best": self.best}),
                **nest("undone_to", self.best_statistics),
                **({} if self.average is None else {"average": self.average}),
                **nest("update", self.update.state_tensors()),
            },
            "values": {
                "iteration": self.iteration,
                "epoch": self.epoch,
                "position": self.position,
                "seconds": self.stopwatch.seconds,
                "best_loss": self.best_loss,
                "averaged": self.averaged,
                "schedule": self.schedule.state_dict(),
            },
        }

    def load_state_dict(self, state: State) -> None:
        """Restore what `state_dict` returned."""
        tensors, values = state["tensors"], state["values"]
        self.theta.copy_(tensors["theta"])
        if self.best is not None:
            self.best.copy_(tensors["best"])
            restore(self.best_statistics, nested("undone_to", tensors))
        if self.average is not None:
            self.average.copy_(tensors["average"])
        self.averaged = values["averaged"]
        self.update.load_state_tensors(nested("update", tensors))
        self.iteration, self.epoch = values["iteration"], values["epoch"]
        self.position, self.best_loss = values["position"], values["best_loss"]
        self.stopwatch = Stopwatch(values["seconds"])
        self.schedule.load_state_dict(values["schedule"])
        self._batches = None
