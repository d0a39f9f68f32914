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
from asr_hf.baselines.schedules import EpochJudge, Schedule
from asr_hf.curvature.vectors import is_finite
from asr_hf.hf.memory import MemoryNeed, ProblemSize
from asr_hf.hf.needs import OptimiserNeeds
from asr_hf.hf.objective import Split
from asr_hf.hf.pass_cost import PassCost
from asr_hf.hf.state import State, nest, nested
from asr_hf.runtime.clock import PhaseClock
from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.progress import progress


class MinibatchTrainer(ABC):
    """Minimises an objective by one small step a minibatch of shuffled frames.

    Each `step()` is an epoch, or the same share of one each time. Held-out data are looked at only
    after whole epochs, by schedules that steer by them. The order of the frames follows from
    (seed, epoch) alone, so that a resumed run repeats an undisturbed one bit for bit. Updates run
    on θ as one tensor by torch's fused kernels; the host waits for the device once a `step()`.

    Args:
        objective: the loss.
        theta: the start [n]; not written to.
        learning_rate: base rate, scaled by `schedule`.
        schedule: scales the rate and may end training early.
        batch_frames: number of frames of a minibatch.
        max_epochs: bound on the number of epochs.
        evaluations_per_epoch: number of steps, and so of events, in each epoch.
        seed: seed of the order of the frames.

    Raises:
        InputError: a setting is out of range.
    """

    needs = OptimiserNeeds(minibatches=True)
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
        max_epochs: int,
        evaluations_per_epoch: int = 1,
        seed: int = 0,
    ) -> None:
        self.objective, self.theta = objective, theta.detach().clone()
        self.learning_rate, self.schedule = learning_rate, schedule
        self.batch_frames, self.max_epochs, self.seed = batch_frames, max_epochs, seed
        self.evaluations_per_epoch = evaluations_per_epoch
        self.batches_per_epoch = objective.num_minibatches(max(1, batch_frames))
        self._check()
        self.update_rule = self.make_update_rule()
        self.epoch, self.position, self.iteration = 0, 0, 0
        # Where an undone epoch returns to, and its held-out loss.
        self.judge = schedule if isinstance(schedule, EpochJudge) else None
        self.best = self.theta.clone() if self.judge else None
        self.best_loss: float | None = None
        self._batches: Iterator[Any] | None = None

    def _check(self) -> None:
        settings = {
            "learning_rate": self.learning_rate > 0.0,
            "batch_frames": self.batch_frames >= 1,
            "max_epochs": self.max_epochs >= 0,
            "evaluations_per_epoch": 1 <= self.evaluations_per_epoch <= self.batches_per_epoch,
        }
        for key, fits in settings.items():
            if not fits:
                raise InputError(
                    f"trainer.{key}: {getattr(self, key)} is out of range",
                    expected="a positive number; no more evaluations than an epoch's "
                    f"{self.batches_per_epoch} minibatches",
                )

    def memory(self, size: ProblemSize) -> MemoryNeed:
        """Return the memory of the running means of its update rule."""
        return MemoryNeed(size.vectors(self.state_vectors), gradient_frames=self.batch_frames)

    def pass_costs(self) -> list[PassCost]:
        """Return the passes of each part of an epoch, without those for reports."""
        frames = int(self.objective.unit_frames(Split.TRAIN).sum())
        part = frames // self.evaluations_per_epoch
        return [PassCost(part, 0)] * (self.max_epochs * self.evaluations_per_epoch)

    @abstractmethod
    def make_update_rule(self) -> torch.optim.Optimizer:
        """Return the torch optimiser of `theta`, its only parameter."""

    @property
    def estimate(self) -> Tensor:
        """The parameters found so far [n]."""
        return self.theta

    @property
    def finished(self) -> bool:
        """Whether training has ended."""
        return self.epoch >= self.max_epochs or self.schedule.finished

    @property
    def limit(self) -> str:
        """The setting that ended training; empty while it goes on, or where it converged."""
        return "trainer.max_epochs" if self.finished and not self.schedule.finished else ""

    def step(self) -> dict[str, Any]:
        """Train on the next part of an epoch and judge the epoch at its end.

        Returns:
            The event.

        Raises:
            RunError: the loss or a parameter is not finite.
        """
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
        done = self.epoch + self.position / self.batches_per_epoch
        return self.learning_rate * self.schedule.factor(done / self.max_epochs)

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
        (group,) = self.update_rule.param_groups
        batches = islice(self._batches, end - start)
        for batch in progress(batches, desc=f"epoch {self.epoch + 1}", total=end - start):
            loss, gradient = self.objective.minibatch_gradient(self.theta, batch)
            total += loss
            group["lr"] = self._rate()
            self.theta.grad = gradient
            self.update_rule.step()
            self.position += 1
        self.theta.grad = None
        if self.position < end:
            raise RunError(
                f"epoch {self.epoch + 1} gave {self.position} minibatches",
                expected=f"{self.batches_per_epoch} of {self.batch_frames} frames",
            )
        return float(total) / (end - start)

    def _keep_or_undo(self, judge: EpochJudge, sound: bool) -> bool:
        """Keep or undo the epoch that has just ended; return whether it is kept."""
        assert self.best is not None and self.best_loss is not None
        after = heldout_loss(self.objective, self.theta) if sound else math.inf
        if judge.judge(self.best_loss, after):
            self.best.copy_(self.theta)
            self.best_loss = after
            return True
        self.theta.copy_(self.best)
        # Momentum gathered on the way to a worse place would lead back there.
        self.update_rule.state.clear()
        return False

    def state_dict(self) -> State:
        """Return everything that the next step depends on."""
        inner = self.update_rule.state.get(self.theta, {})
        return {
            "tensors": {
                "theta": self.theta,
                **({} if self.best is None else {"best": self.best}),
                **nest("update_rule", {k: v for k, v in inner.items() if v is not None}),
            },
            "values": {
                "iteration": self.iteration,
                "epoch": self.epoch,
                "position": self.position,
                "best_loss": self.best_loss,
                "schedule": self.schedule.state_dict(),
            },
        }

    def load_state_dict(self, state: State) -> None:
        """Restore what `state_dict` returned."""
        tensors, values = state["tensors"], state["values"]
        self.theta.copy_(tensors["theta"])
        if self.best is not None:
            self.best.copy_(tensors["best"])
        self.update_rule.state[self.theta] = {
            name: tensor.to(self.theta.device, copy=True)
            for name, tensor in nested("update_rule", tensors).items()
        }
        self.iteration, self.epoch = values["iteration"], values["epoch"]
        self.position, self.best_loss = values["position"], values["best_loss"]
        self.schedule.load_state_dict(values["schedule"])
        self._batches = None
