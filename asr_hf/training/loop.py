"""The resumable run loop that every optimiser shares."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from asr_hf.baselines.objective import whole
from asr_hf.hf.memory import MemoryNeed, ProblemSize
from asr_hf.hf.objective import LossSum, Split
from asr_hf.hf.pass_cost import PassCost
from asr_hf.hf.state import copied, nest, nested, restore
from asr_hf.runtime.checkpoint import all_there, latest_checkpoint, save_checkpoint
from asr_hf.runtime.events import EventLog
from asr_hf.runtime.interruption import Interruption, interrupted
from asr_hf.runtime.process_group import SINGLE_PROCESS, ProcessGroup
from asr_hf.runtime.progress import progress
from asr_hf.runtime.run_folder import RunFolder
from asr_hf.training.best import Best
from asr_hf.training.distributed.replica_consistency import check_in_step, share_checkpoint
from asr_hf.training.event_line import describe
from asr_hf.training.work_counter import CountedObjective

log = logging.getLogger(__name__)

# Iterations between two comparisons of the ranks' states, which must be the same.
_COMPARE_EVERY = 10


class Optimiser(Protocol):
    """What the loop asks of HF and of the baselines.

    A class may say in an attribute `needs` how processes can share its work, see `OptimiserNeeds`.

    Attributes:
        name: name in events and results.
        iteration: number of iterations done.
    """

    name: str
    iteration: int

    @property
    def estimate(self) -> Tensor:
        """The parameters found so far [n]."""
        ...

    def memory(self, size: ProblemSize) -> MemoryNeed:
        """Return the memory that its steps will allocate."""
        ...

    def pass_costs(self) -> list[PassCost]:
        """Return the passes of each iteration up to the last that there may be."""
        ...

    @property
    def seconds_given(self) -> float | None:
        """Seconds of training after which it ends; `pass_costs` then holds its first iterations."""
        ...

    @property
    def finished(self) -> bool:
        """Whether training has ended."""
        ...

    @property
    def limit(self) -> str:
        """The setting that ended training; empty while it goes on, or where it converged."""
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


class TrainingLoop:
    """Steps an optimiser to its end, writing an event and a checkpoint after each step.

    Training seconds and work hold what the optimiser itself spent; looks at the loss of all
    held-out frames are outside of both, for every optimiser alike.

    Each of several ranks runs the loop; only the first one has the folder and writes.

    Args:
        optimiser: HF or a baseline.
        objective: the objective that it minimises.
        folder: the run folder; None on ranks that write nothing.
        keep_last: number of checkpoints kept beside the best.
        checkpoint_seconds: seconds between two checkpoints at least; steps after the last one are
            done again, to the same result, after a kill.
        seconds: seconds spent on training before the loop (pretraining).
        keep: called with each iteration's number and estimate [n], also those of the start.
        group: this process among those that train together.
        interruption: says when a signal has asked for an end.
    """

    def __init__(
        self,
        optimiser: Optimiser,
        objective: CountedObjective,
        folder: RunFolder | None,
        *,
        keep_last: int,
        checkpoint_seconds: float,
        look_share: float | None = None,
        seconds: float = 0.0,
        keep: Callable[[int, Tensor], None] | None = None,
        group: ProcessGroup = SINGLE_PROCESS,
        interruption: Interruption | None = None,
    ) -> None:
        self.optimiser, self.objective, self.folder = optimiser, objective, folder
        self.keep_last, self.checkpoint_seconds = keep_last, checkpoint_seconds
        self._saved_at = time.monotonic()
        self._improved = self._unsaved = False
        self.seconds, self._keep = seconds, keep
        self._look_share, self._looked_at = look_share, 0.0
        self._heldout_frames = int(objective.unit_frames(Split.HELDOUT).sum())
        self.best = Best(optimiser.estimate.clone(), statistics=copied(objective.statistics))
        self.group, self._interruption = group, interruption or Interruption()
        self.events = None if folder is None else EventLog(folder.path)

    def run(self) -> Best:
        """Train until the optimiser has finished, resuming where a run was cut off.

        Returns:
            The parameters with the lowest held-out loss; the objective is left with their
            statistics.

        Raises:
            Interrupted: a signal asked for an end; a checkpoint holds what was done.
            RunError: ranks no longer hold the same.
        """
        bar: tqdm[None] = progress(desc="training", unit="it", lines=False)
        try:
            with self._interruption.deferred():
                self._resume()
                if self._unsaved:
                    self._save_or_end()
                while not self.optimiser.finished:
                    self._step()
                    bar.update()
                    bar.set_postfix(heldout=f"{self.best.loss:.4f}")
                    self._compare()
                    self._save_or_end()
        finally:
            bar.close()
            if self.events is not None:
                self.events.close()
        restore(self.objective.statistics, self.best.statistics)
        return self.best

    def _compare(self) -> None:
        """Compare what the next iteration depends on with the other ranks."""
        if self.group.count > 1 and self.optimiser.iteration % _COMPARE_EVERY == 1:
            check_in_step(self.group, self.optimiser.iteration, self.optimiser.state_dict())

    def _save_or_end(self) -> None:
        """Save when it is time on the first rank, or for the end that any rank was asked for."""
        due = self.folder is not None
        due = due and time.monotonic() - self._saved_at >= self.checkpoint_seconds
        asked, due = self.group.any_of(self._interruption.noted is not None, due)
        finished = self.optimiser.finished
        if asked or due or finished:
            self._save()
        if asked and not finished:
            # Nobody leaves before that is done: the first to go takes the others along.
            self.group.any(True)
            raise interrupted(self._interruption.noted)

    def _step(self) -> None:
        start = time.perf_counter()
        event = self.optimiser.step()
        if self.objective.device.type == "cuda":
            torch.cuda.synchronize(self.objective.device)
        self.seconds += time.perf_counter() - start
        self._record(event)

    def _record(self, event: dict[str, Any]) -> None:
        event |= {
            "seconds": self.seconds,
            "work": self.objective.work,
            "frames": dict(self.objective.frames_by_pass),
        }
        if event["iteration"] == 0 or self.optimiser.finished or self._look_is_due():
            self._look(event)
        self._unsaved = True
        if self.folder is not None and self.events is not None:
            self._write(event, self.events)
        log.info("%s", describe(event))

    def _look_is_due(self) -> bool:
        """Return whether the work since the last look pays for another one."""
        if self._look_share is None:
            return True
        # In units of work, not in seconds: a resumed run looks after the same steps.
        return (self.objective.work - self._looked_at) * self._look_share >= self._heldout_frames

    def _look(self, event: dict[str, Any]) -> None:
        """Measure the held-out loss for an event, and keep what is best so far."""
        heldout = self._heldout()
        self._looked_at = self.objective.work
        event |= {
            "heldout_loss": heldout.mean,
            "heldout_frame_error": heldout.errors / max(1, heldout.num_frames),
        }
        if heldout.mean < self.best.loss:
            self._improved = True
            self.best = Best(
                self.optimiser.estimate.clone(),
                heldout.mean,
                event["heldout_frame_error"],
                event.get("train_loss"),
                event["iteration"],
                copied(self.objective.statistics),
            )

    def _write(self, event: dict[str, Any], events: EventLog) -> None:
        if self._keep is not None:
            self._keep(event["iteration"], self.optimiser.estimate)
        events.append(event)

    def _heldout(self) -> LossSum:
        """Return the loss over every held-out utterance, for the report."""
        with self.objective.uncounted():
            return self.objective.loss(
                self.optimiser.estimate, whole(self.objective, Split.HELDOUT)
            )

    def _save(self) -> None:
        # On every rank: where vectors are divided, it takes all of them to make them whole.
        state = self.optimiser.state_dict()
        if self.folder is None:
            return
        save_checkpoint(
            self.folder.checkpoints,
            self.optimiser.iteration,
            {
                **self.best.tensors,
                **nest("statistics", self.objective.statistics),
                **state["tensors"],
            },
            {
                "optimiser": state["values"],
                "seconds": self.seconds,
                "frames": self.objective.frames_by_pass,
                "looked_at": self._looked_at,
                "best": self.best.values,
            },
            keep_last=self.keep_last,
            best=self._improved,
        )
        self._saved_at, self._improved, self._unsaved = time.monotonic(), False, False

    def _resume(self) -> None:
        latest = None if self.folder is None else latest_checkpoint(self.folder.checkpoints)
        checkpoint = share_checkpoint(self.group, latest)
        if checkpoint is None:
            self._cut_events(-1)
            self._record(
                {
                    "iteration": 0,
                    "optimiser": self.optimiser.name,
                    "phase_seconds": {},
                    "train_loss": None,
                }
            )
            return
        path, tensors, values = checkpoint
        with all_there(path):
            self.best = self.best.restored(tensors, values["best"])
            restore(self.objective.statistics, nested("statistics", tensors))
            self.optimiser.load_state_dict({"tensors": tensors, "values": values["optimiser"]})
            self.seconds, self._looked_at = values["seconds"], values["looked_at"]
            self.objective.frames_by_pass.update(values["frames"])
        self._cut_events(self.optimiser.iteration)
        log.info("continuing after iteration %d from %s", self.optimiser.iteration, path)

    def _cut_events(self, iteration: int) -> None:
        if self.events is not None:
            self.events.truncate_after(iteration)
