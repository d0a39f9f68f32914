"""Keeps what runs gave in benchmarks/results/race.json."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from asr_hf.report.run_data import RunData, number
from asr_hf.runtime.files import read_json, write_json
from benchmarks.race.trials import Trial

DONE, FAILED = "done", "failed"
Record = dict[str, Any]


class Results:
    """The results of runs by machine and by their names, which tell settings apart.

    Times of two machines do not compare: a workload's results are those of one machine. Where runs
    end by their epochs and steps are counted, those of any machine are taken. Several threads may
    add.

    Args:
        path: the file; it need not exist.
        machine: the processor that runs are done on, and whose results count.
    """

    def __init__(self, path: Path, machine: str) -> None:
        self.path, self._machine, self._lock = path, machine, threading.Lock()
        self.content: dict[str, Any] = read_json(path) if path.exists() else {}
        self.content.setdefault("runs", {})
        self._chosen: dict[str, str] = {}

    @property
    def runs(self) -> dict[str, dict[str, Record]]:
        """The results by machine and name."""
        runs: dict[str, dict[str, Record]] = self.content["runs"]
        return runs

    @property
    def records(self) -> list[Record]:
        """All results, of all machines and settings."""
        return [record for of_machine in self.runs.values() for record in of_machine.values()]

    def of(self, trial: Trial) -> Record | None:
        """Return the result of a run with just these settings; None where there is none."""
        return self._found(trial, self.machine_of(trial.workload))

    def here(self, trial: Trial) -> Record | None:
        """Return the result of a run that need not be done on this machine; None if it must."""
        return self._found(trial, self._machine)

    def _found(self, trial: Trial, machine: str) -> Record | None:
        machines = [machine]
        if trial.seconds is None:
            machines += [other for other in self.runs if other != machine]
        found = (self.runs.get(machine, {}).get(trial.name) for machine in machines)
        return next((record for record in found if record is not None), None)

    def machine_of(self, workload: str) -> str:
        """Return the machine whose results of a workload count."""
        return self._chosen.get(workload, self._machine)

    def choose_machines(self, expected: Mapping[str, Collection[str]]) -> None:
        """Let count, for each workload, the machine that has most of the runs expected of it.

        Args:
            expected: names of runs by workload.
        """
        for workload, names in expected.items():
            done = {machine: len(runs.keys() & set(names)) for machine, runs in self.runs.items()}
            if done:
                self._chosen[workload] = max(done, key=lambda m: (done[m], m == self._machine))

    def add(self, trial: Trial, record: Record) -> None:
        """Keep the result of a run that was done here."""
        with self._lock:
            of_machine = self.runs.setdefault(self._machine, {})
            of_machine[trial.name] = record
            self.runs[self._machine] = dict(sorted(of_machine.items()))
            self._write()

    def change(self, content: Mapping[str, Any]) -> None:
        """Change some of the file's other entries, and write it."""
        with self._lock:
            self.content |= content
            self._write()

    def _write(self) -> None:
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
