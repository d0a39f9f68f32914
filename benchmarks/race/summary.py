"""Computes the entries of race.json from its runs."""

from __future__ import annotations

from typing import Any

from asr_hf.runtime.files import read_json
from benchmarks.race.figures import planned_trials, workload_figures
from benchmarks.race.plan import ROOT, Plan
from benchmarks.race.results import Results
from benchmarks.race.runner import known_frames
from benchmarks.race.steps import every_trial, steps_figures
from benchmarks.race.words import sides, word_figures

PAPER_TABLE = ROOT / "benchmarks/results/paper-table.json"


def summarise(plan: Plan, results: Results) -> None:
    """Compute all figures from the runs there are, and write them beside the runs."""
    results.change({"frames": known_frames(plan, results)})
    frames = results.content["frames"]
    workloads: dict[str, Any] = {}
    again = set()
    for name, workload in plan.workloads.items():
        mine = [record for record in results.runs.values() if record["workload"] == name]
        workloads[name] = {
            **workload_figures(plan, workload, results),
            **word_figures(plan, workload, results),
            "begun": bool(mine),
        }
        again |= {t.name for side in sides(plan, workload, results).values() for t in side}
    expected = again | {trial.name for trial in planned_trials(plan)}
    expected |= {trial.name for trial in every_trial(plan, frames)}
    results.change(
        {
            "workloads": workloads,
            **steps_figures(plan, results, frames),
            "paper_table": read_json(PAPER_TABLE) if PAPER_TABLE.exists() else None,
            "runs_counted": len(expected & results.runs.keys()),
        }
    )
