"""What there is to say of several runs: costs to a common loss, settings, words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from asr_hf.report.comparison.runs import ComparedRun, RunState
from asr_hf.report.comparison.settings import differing_settings
from asr_hf.report.comparison.words import SetComparison
from asr_hf.report.run_data import Event, RunData, number

# What a run costs, with the key of its events; frames are those of all passes.
COSTS = ("seconds", "frames", "work")


@dataclass(frozen=True)
class LossGroup:
    """Runs whose held-out losses are comparable: of one criterion on the same labels.

    Args:
        runs: the runs.
        common: the best held-out loss of the worst finished run, which all finished ones have
            reached; None where none has finished.
    """

    runs: Sequence[ComparedRun]
    common: float | None


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side.

    Args:
        runs: the runs.
        words: their word errors, set by set.
        notes: what could not be compared, and why, by label of the run.
    """

    runs: Sequence[ComparedRun]
    words: Sequence[SetComparison] = ()
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The settings that differ, see `differing_settings`."""
        return differing_settings(self.runs)

    @cached_property
    def groups(self) -> list[LossGroup]:
        """The runs with a held-out loss, by what their losses are comparable with."""
        members: dict[str, list[ComparedRun]] = {}
        for run in self.runs:
            if run.data.best is not None:
                members.setdefault(run.heldout, []).append(run)
        return [LossGroup(runs, _common(runs)) for runs in members.values()]

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The figures of each run as JSON-able values; None where one is not known."""
        places = {
            run.label: (place, group)
            for place, group in enumerate(self.groups)
            for run in group.runs
        }
        return [self._row(run, *places.get(run.label, (None, None))) for run in self.runs]

    def _row(self, run: ComparedRun, place: int | None, group: LossGroup | None) -> dict[str, Any]:
        data, common = run.data, None if group is None else group.common
        reached = None if common is None else _reached(run, common)
        costs = {cost: total(run, cost) for cost in COSTS}
        return {
            "label": run.label,
            "folder": str(run.folder),
            "state": str(run.state),
            "problems": [p for p in (run.problem, *self.notes.get(run.label, ())) if p],
            "optimiser": data.optimiser,
            "heldout_loss": best_loss(run),
            "heldout_frame_error": data.figure("heldout_frame_error"),
            "iterations": int(data.figure("iterations") or 0),
            "parameters": data.figure("parameters"),
            **costs,
            # Runs with the same number have comparable losses.
            "heldout_data": None if place is None else place + 1,
            "common_loss": common,
            **{f"{cost}_to_common": reached and cost_of(reached, cost) for cost in COSTS},
        }


def checked(run: ComparedRun) -> ComparedRun:
    """Return a run, as damaged where a value in its files is of another kind than asr-hf writes."""
    try:
        alone = Comparison([run])
        _ = alone.rows, alone.settings, [curve(run, cost) for cost in COSTS]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        problem = (
            "a value in one of its files is of another kind than asr-hf writes: "
            f"{type(error).__name__}: {error}"
        )
        return replace(run, state=RunState.DAMAGED, data=RunData(run.folder), problem=problem)
    return run


def best_loss(run: ComparedRun) -> float | None:
    """Return the lowest held-out loss of a run; None before the first."""
    return number(run.data.best or {}, "heldout_loss")


def total(run: ComparedRun, cost: str) -> float | None:
    """Return what a run has cost so far, by one of `COSTS`."""
    return cost_of(run.data.events[-1], cost) if run.data.events else None


def cost_of(event: Event, cost: str) -> float | None:
    """Return the cost up to an event, by one of `COSTS`."""
    if cost != "frames":
        return number(event, cost)
    frames = event.get("frames")
    counts = [number(frames, name) for name in frames] if isinstance(frames, dict) else []
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def curve(run: ComparedRun, cost: str) -> list[tuple[float, float]]:
    """Return the points (cost, held-out loss) of a run."""
    return [
        (place, loss)
        for event in run.data.events
        if (place := cost_of(event, cost)) is not None
        and (loss := number(event, "heldout_loss")) is not None
    ]


def _common(runs: Sequence[ComparedRun]) -> float | None:
    losses = [best_loss(run) for run in runs if run.state is RunState.FINISHED]
    return max((loss for loss in losses if loss is not None), default=None)


def _reached(run: ComparedRun, loss: float) -> Event | None:
    """Return the first event of a run with such a loss or a lower one."""
    events = ((number(event, "heldout_loss"), event) for event in run.data.events)
    return next((event for found, event in events if found is not None and found <= loss), None)
