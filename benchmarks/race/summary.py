"""Computes the entries of race.json from its runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from asr_hf.runtime.files import read_json
from benchmarks.race.figures import planned_trials, workload_figures
from benchmarks.race.plan import ROOT, Plan
from benchmarks.race.results import Results
from benchmarks.race.runner import known_frames
from benchmarks.race.steps import every_trial, steps_figures
from benchmarks.race.trials import Trial
from benchmarks.race.words import sides, word_figures

PAPER_TABLE = ROOT / "benchmarks/results/paper-table.json"


def summarise(plan: Plan, results: Results) -> None:
    """Compute all figures from the runs there are, and write them beside the runs."""
    results.change({"frames": known_frames(plan, results)})
    frames = results.content["frames"]
    choose_machines(plan, results)
    expected = _names(plan, (*planned_trials(plan), *every_trial(plan, frames)))
    workloads: dict[str, Any] = {}
    counted = 0
    for name, workload in plan.workloads.items():
        again = {t.name for side in sides(plan, workload, results).values() for t in side}
        mine = results.runs.get(results.machine_of(name), {}).keys()
        counted += len(mine & (expected[name] | again))
        spoken = word_figures(plan, workload, results)
        if spoken["wer_machine"] not in (None, results.machine_of(name)):
            counted += len(again & results.runs[spoken["wer_machine"]].keys())
        workloads[name] = {
            **workload_figures(plan, workload, results),
            **spoken,
            "machine": results.machine_of(name),
            "begun": bool(mine & expected[name]),
        }
    results.change(
        {
            "workloads": workloads,
            **steps_figures(plan, results, frames),
            "paper_table": _paper_table(),
            "runs_counted": counted,
        }
    )


def choose_machines(plan: Plan, results: Results) -> None:
    """Let the machine count, for each workload, that has done most of what is planned."""
    results.choose_machines(_names(plan, planned_trials(plan)))


def _names(plan: Plan, trials: Iterable[Trial]) -> dict[str, set[str]]:
    """Return the names of runs, by workload."""
    names: dict[str, set[str]] = {name: set() for name in plan.workloads}
    for trial in trials:
        names[trial.workload].add(trial.name)
    return names


def _paper_table() -> dict[str, Any] | None:
    """Return the rows of the paper's table and their ratios, without its runs."""
    if not PAPER_TABLE.exists():
        return None
    found = read_json(PAPER_TABLE)
    ratios = {key: value for key, value in found.items() if "_over_plain_" in key}
    return {**found["rows"], **ratios}
