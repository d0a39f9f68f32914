"""Figures of the race: speed-ups to the best baseline's loss, and losses at equal time."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.race.plan import OURS, Plan, Workload
from benchmarks.race.results import DONE, Record, Results, looked_at
from benchmarks.race.trials import (
    Selection,
    Trial,
    our_trials,
    tuned_trials,
    untuned_trials,
)
from benchmarks.study.figures import best_loss, cost_to

# The speed-up of a method that never reaches the loss.
NEVER = 0.0
Found = list[tuple[Trial, Record]]


def finished(results: Results, trials: Sequence[Trial]) -> Found:
    """Return the runs that came to their end and have been looked at, with their results."""
    found = [(trial, results.of(trial)) for trial in trials]
    return [
        (trial, record)
        for trial, record in found
        if record is not None and record["state"] == DONE and record["heldout_loss"] is not None
    ]


def failures(results: Results, trials: Sequence[Trial]) -> Found:
    """Return the runs that failed, with their results."""
    found = [(trial, results.of(trial)) for trial in trials]
    return [(t, record) for t, record in found if record is not None and record["state"] != DONE]


def reached(record: Record, loss: float) -> float | None:
    """Return the seconds after which a run's held-out loss was `loss` or less; None if never."""
    return cost_to(looked_at(record), loss, "seconds")


def best_of(found: Found) -> tuple[Trial, Record]:
    """Return the run that comes to the lowest held-out loss."""
    return min(found, key=lambda pair: best_loss(looked_at(pair[1])))


def speedup(ours: Found, theirs: Found) -> dict[str, Any] | None:
    """Compare the time that our best run and theirs take to the lowest loss of theirs.

    Args:
        ours: our runs, of several horizons.
        theirs: runs of baselines.

    Returns:
        `target`, `theirs` and `ours` in seconds, `best`, the baseline, and `speedup`, which is
        `NEVER` where none of ours gets there; None where either has no run.
    """
    if not ours or not theirs:
        return None
    trial, record = best_of(theirs)
    target = best_loss(looked_at(record))
    their_seconds = reached(record, target)
    times = [seconds for _, run in ours if (seconds := reached(run, target)) is not None]
    assert their_seconds is not None
    return {
        "seed": trial.seed,
        "best": trial.name,
        "method": trial.method,
        "target": target,
        "theirs": their_seconds,
        "ours": min(times) if times else None,
        "speedup": their_seconds / max(min(times), 1e-9) if times else NEVER,
    }


def middle(values: Sequence[float | None]) -> float | None:
    """Return the median of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def workload_figures(plan: Plan, workload: Workload, results: Results) -> dict[str, Any]:
    """Compute the figures of a workload from the runs there are."""
    methods = {**plan.methods}
    tuned_by_study, untuned_by_study, equal = [], [], []
    planned, done = 0, 0
    for seed in plan.studies:
        ours = finished(results, our_trials(plan, workload, seed))
        trials = [t for m in methods for t in tuned_trials(plan, workload, m, seed)]
        tuned = finished(results, trials)
        untuned = finished(results, untuned_trials(plan, workload, list(methods), seed))
        tuned_by_study.append(speedup(ours, tuned))
        untuned_by_study.append(speedup(ours, untuned))
        equal.append((_loss(finished(results, our_trials(plan, workload, seed)[:1])), _loss(tuned)))
        first = [t for t in trials if methods[t.method].wave == 1]
        planned += len(first)
        done += sum(results.of(trial) is not None for trial in first)
    known = [each for each in tuned_by_study if each]
    return {
        "tuned_speedup": middle([each["speedup"] for each in known]),
        "self_tuned_speedup": middle([each["speedup"] for each in untuned_by_study if each]),
        "equal_time_loss_ours": middle([ours for ours, _ in equal]),
        "equal_time_loss_best": middle([theirs for _, theirs in equal]),
        "tuned": known,
        "self_tuned": [each for each in untuned_by_study if each],
        "trials_planned": planned,
        "trials_done": done,
    }


def _loss(found: Found) -> float | None:
    return best_loss(looked_at(best_of(found)[1])) if found else None


def method_figures(
    plan: Plan, workload: Workload, results: Results, method: str
) -> dict[str, Any] | None:
    """Compute what a method reaches within the budget, medians over studies of its best run.

    Returns:
        `loss`; `to_target`, the seconds to each study's target where it is reached; `missed`, the
        number of `studies` in which it is not; `runs` and those `failed`. None where the method
        has no run.
    """
    runs, lost, losses, times, missed = 0, 0, [], [], 0
    for seed in plan.studies:
        trials = trials_of(plan, workload, method, seed)
        found, failed = finished(results, trials), failures(results, trials)
        runs, lost = runs + len(found) + len(failed), lost + len(failed)
        losses.append(_loss(found))
        rivals = finished(
            results, [t for m in plan.methods for t in tuned_trials(plan, workload, m, seed)]
        )
        if found and rivals:
            target = best_loss(looked_at(best_of(rivals)[1]))
            seconds = [s for _, run in found if (s := reached(run, target)) is not None]
            times.append(min(seconds) if seconds else None)
            missed += not seconds
    if not runs:
        return None
    return {
        "loss": middle(losses),
        "to_target": middle(times),
        "missed": missed,
        "studies": len(times),
        "runs": runs,
        "failed": lost,
    }


def trials_of(plan: Plan, workload: Workload, method: str, seed: int) -> list[Trial]:
    """List the runs of a study of a method, ours included, in the tuned track."""
    if method == OURS:
        return our_trials(plan, workload, seed)
    return tuned_trials(plan, workload, method, seed)


def profile(plan: Plan, results: Results) -> dict[str, list[float]]:
    """Compute what a performance profile is drawn from (Dolan & Moré 2002).

    Returns:
        For each method the time to a workload's target over the fastest method's, one number a
        study and workload with runs; infinite where the target is not reached.
    """
    ratios: dict[str, list[float]] = {}
    for workload in plan.workloads.values():
        for seed in plan.studies:
            found = {
                method: finished(results, trials_of(plan, workload, method, seed))
                for method in (OURS, *plan.methods)
            }
            theirs = [pair for method in plan.methods for pair in found[method]]
            if not theirs or not found[OURS]:
                continue
            target = best_loss(looked_at(best_of(theirs)[1]))
            times = {
                method: min(
                    (s for _, run in runs if (s := reached(run, target)) is not None),
                    default=float("inf"),
                )
                for method, runs in found.items()
                if runs
            }
            fastest = min(times.values())
            for method, seconds in times.items():
                ratios.setdefault(method, []).append(seconds / fastest)
    return ratios


def planned_trials(plan: Plan) -> list[Trial]:
    """List every run of the tuned and the self-tuned track, of both waves."""
    selection = Selection.whole(plan)
    return [
        trial
        for seed in selection.studies
        for workload in plan.workloads.values()
        for trial in (
            *our_trials(plan, workload, seed),
            *untuned_trials(plan, workload, list(plan.methods), seed),
            *(t for m in plan.methods for t in tuned_trials(plan, workload, m, seed)),
        )
    ]
