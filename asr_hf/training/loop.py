"""The resumable run loop that every optimiser shares."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from asr_hf.baselines.objective import whole
from asr_hf.hf.memory import MemoryNeed, ProblemSize
from asr_hf.hf.objective import LossSum, Part
from asr_hf.runtime.checkpoint import latest_checkpoint, save_checkpoint
from asr_hf.runtime.events import EventLog
from asr_hf.runtime.progress import progress
from asr_hf.runtime.run_folder import RunFolder
from asr_hf.training.frame_objective import FrameObjective

log = logging.getLogger(__name__)


class Optimiser(Protocol):
    """What the loop asks of HF and of the baselines."""

    name: str
    iteration: int

    @property
    def estimate(self) -> Tensor:
        """The parameters found so far [n]."""
        ...

    def memory(self, size: ProblemSize) -> MemoryNeed:
        """What its steps will allocate."""
        ...

    @property
    def finished(self) -> bool:
        """Whether training has ended."""
        ...

    def step(self) -> dict[str, Any]:
        """Do one iteration and return its event."""
        ...

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Everything the next step depends on: {"tensors": ..., "values": ...}."""
        ...

    def load_state_dict(self, state: dict[str, dict[str, Any]]) -> None:
        """Restore what `state_dict` returned."""
        ...


@dataclass
class Best:
    """The parameters with the lowest held-out loss so far."""

    theta: Tensor
    loss: float = float("inf")
    frame_error: float = 1.0
    train_loss: float | None = None
    iteration: int = 0


class TrainingLoop:
    """Steps an optimiser to its end, writing an event and a checkpoint after each step.

    Training seconds and work hold what the optimiser itself spent; the held-out loss of each
    event, over all held-out frames, is computed outside of both for every optimiser alike.

    Args:
        optimiser: HF or a baseline.
        objective: what it minimises.
        folder: the run folder.
        keep_last: checkpoints kept beside the best.
        checkpoint_seconds: a checkpoint is written after the first step that ends this long after
            the last one; steps since then are done again, to the same result, after a kill.
        seconds: spent on training before the loop (pretraining).
        keep: is given each iteration's number and estimate [n], the start's among them.
    """

    def __init__(
        self,
        optimiser: Optimiser,
        objective: FrameObjective,
        folder: RunFolder,
        *,
        keep_last: int,
        checkpoint_seconds: float,
        seconds: float = 0.0,
        keep: Callable[[int, Tensor], None] | None = None,
    ) -> None:
        self.optimiser, self.objective, self.folder = optimiser, objective, folder
        self.keep_last, self.checkpoint_seconds = keep_last, checkpoint_seconds
        self._saved_at = time.monotonic()
        self._improved = False
        self.seconds, self._keep = seconds, keep
        self.best = Best(optimiser.estimate.clone())
        self.events = EventLog(folder.path)

    def run(self) -> Best:
        """Train until the optimiser says it has finished, resuming where a run was cut off."""
        self._resume()
        bar: tqdm[None] = progress(desc="training", unit="it")
        try:
            while not self.optimiser.finished:
                self._step()
                bar.update()
                bar.set_postfix(heldout=f"{self.best.loss:.4f}")
        finally:
            bar.close()
            self.events.close()
        return self.best

    def _step(self) -> None:
        start = time.perf_counter()
        event = self.optimiser.step()
        if self.objective.device.type == "cuda":
            torch.cuda.synchronize(self.objective.device)
        self.seconds += time.perf_counter() - start
        self._record(event)

    def _record(self, event: dict[str, Any]) -> None:
        heldout = self._heldout()
        event |= {
            "heldout_loss": heldout.mean,
            "heldout_frame_error": heldout.errors / max(1, heldout.frames),
            "seconds": self.seconds,
            "work": self.objective.work,
            "frames": dict(self.objective.frames),
        }
        if heldout.mean < self.best.loss:
            self._improved = True
            self.best = Best(
                self.optimiser.estimate.clone(),
                heldout.mean,
                event["heldout_frame_error"],
                event.get("train_loss"),
                event["iteration"],
            )
        if self._keep is not None:
            self._keep(event["iteration"], self.optimiser.estimate)
        self.events.append(event)
        due = time.monotonic() - self._saved_at >= self.checkpoint_seconds
        if due or self.optimiser.finished:
            self._save()
        log.info("%s", describe(event))

    def _heldout(self) -> LossSum:
        """Loss over every held-out utterance, for the report."""
        with self.objective.uncounted():
            return self.objective.loss(self.optimiser.estimate, whole(self.objective, Part.HELDOUT))

    def _save(self) -> None:
        state = self.optimiser.state_dict()
        save_checkpoint(
            self.folder.checkpoints,
            self.optimiser.iteration,
            {"best_theta": self.best.theta, **state["tensors"]},
            {
                "optimiser": state["values"],
                "seconds": self.seconds,
                "frames": self.objective.frames,
                "best": {
                    "loss": self.best.loss,
                    "frame_error": self.best.frame_error,
                    "train_loss": self.best.train_loss,
                    "iteration": self.best.iteration,
                },
            },
            keep_last=self.keep_last,
            best=self._improved,
        )
        self._saved_at, self._improved = time.monotonic(), False

    def _resume(self) -> None:
        found = latest_checkpoint(self.folder.checkpoints)
        if found is None:
            self.events.truncate_after(-1)
            self._record(
                {
                    "iteration": 0,
                    "optimiser": self.optimiser.name,
                    "phase_seconds": {},
                    "train_loss": None,
                }
            )
            return
        path, tensors, values = found
        best_theta = tensors.pop("best_theta").to(self.best.theta.device)
        self.best = Best(best_theta, **values["best"])
        self.optimiser.load_state_dict({"tensors": tensors, "values": values["optimiser"]})
        self.seconds = values["seconds"]
        self.objective.frames.update(values["frames"])
        self.events.truncate_after(self.optimiser.iteration)
        log.info("continuing after iteration %d from %s", self.optimiser.iteration, path)


def describe(event: dict[str, Any]) -> str:
    """One line a person can follow."""
    parts = [f"iteration {event['iteration']}", f"held-out {event['heldout_loss']:.4f}"]
    if event.get("train_loss") is not None:
        parts.append(f"train {event['train_loss']:.4f}")
    if "cg_iterations" in event:
        parts.append(f"CG {event['cg_iterations']} ({event['cg_reason']})")
        parts.append(f"λ {event['lambda']:.3g}")
        parts.append(f"step {event['step']:.2g}" if event["accepted"] else "rejected")
    if event.get("learning_rate") is not None:
        parts.append(f"rate {event['learning_rate']:.3g}")
    return ", ".join([*parts, f"{event['seconds']:.1f} s"])
