"""Keeps what runs gave in benchmarks/results/race.json."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr_hf.report.run_data import RunData, number
from asr_hf.runtime.files import read_json, write_json
from benchmarks.race.trials import Trial

DONE, FAILED = "done", "failed"
Record = dict[str, Any]


class Results:
    """The results of runs by their names, which tell settings apart; several threads may add.

    Args:
        path: the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._lock = path, threading.Lock()
        self.content: dict[str, Any] = read_json(path) if path.exists() else {}
        self.runs: dict[str, Record] = self.content.setdefault("runs", {})

    def of(self, trial: Trial) -> Record | None:
        """Return the result of a run with just these settings; None where there is none."""
        return self.runs.get(trial.name)

    def add(self, trial: Trial, record: Record) -> None:
        """Keep the result of a run."""
        self.change({"runs": {**self.runs, trial.name: record}})

    def change(self, content: Mapping[str, Any]) -> None:
        """Change some of the file's entries, and write it."""
        with self._lock:
            runs = {**self.runs, **content.get("runs", {})}
            self.content |= {**content, "runs": dict(sorted(runs.items()))}
            self.runs = self.content["runs"]
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.path, self.content)


def record_of(trial: Trial, about: Mapping[str, Any], failure: str = "") -> Record:
    """Read the result of a run from its folder.

    Args:
        trial: the run.
        about: what else is kept with it, such as the machine.
        failure: why it has no end; empty where it has one.

    Returns:
        The result: its settings, and every look at held-out data by seconds of training.
    """
    record: Record = {
        "workload": trial.workload,
        "method": trial.method,
        "label": trial.label,
        "seed": trial.seed,
        "overrides": list(trial.overrides),
        "digest": trial.digest,
        "state": FAILED if failure else DONE,
        **about,
    }
    if failure:
        record["failure"] = failure
    started = (trial.folder / "events.jsonl").exists()
    run = RunData.read(trial.folder) if started else RunData(trial.folder)
    setup = number(run.events[0], "seconds") if run.events else None
    seconds = run.figure("seconds")
    return record | {
        "setup_seconds": setup,
        "seconds": None if seconds is None else seconds - (setup or 0.0),
        "iterations": run.figure("iterations"),
        "parameters": run.figure("parameters"),
        "heldout_loss": run.figure("heldout_loss"),
        "heldout_frame_error": run.figure("heldout_frame_error"),
        "looks": [_look(e, setup or 0.0) for e in run.events if "heldout_loss" in e],
    }


def _look(event: dict[str, Any], setup: float) -> dict[str, Any]:
    return {
        "iteration": event["iteration"],
        # Memory is planned and passes are timed before the first step, for all methods alike.
        "seconds": event["seconds"] - setup,
        "gradient_frames": event["frames"]["gradient"],
        "heldout_loss": number(event, "heldout_loss"),
    }


def looked_at(record: Record) -> RunData:
    """Return a result in the form that other studies' figures are computed from."""
    return RunData(Path(record["workload"]), record["looks"])
