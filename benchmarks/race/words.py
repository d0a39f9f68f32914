"""Word errors of the best run of each side, with the seeds of all studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from asr_hf.runtime.files import read_json
from benchmarks.race.figures import best_of, finished
from benchmarks.race.plan import Plan, Workload
from benchmarks.race.results import DONE, Record, Results
from benchmarks.race.runner import Pool, failed, run
from benchmarks.race.trials import Trial, baseline, our_trials, tuned_trials

Sides = dict[str, list[Trial]]


def sides(plan: Plan, workload: Workload, results: Results) -> Sides:
    """List the runs whose words are counted: ours of the whole budget, and the best baseline's.

    The best baseline has the settings of the trial with the lowest held-out loss of all studies,
    with every seed.

    Args:
        plan: the race.
        workload: the workload.
        results: results so far.

    Returns:
        The runs by `ours` and `best`; no best where no baseline has run.
    """
    ours = [our_trials(plan, workload, seed)[0] for seed in plan.studies]
    everything = [
        trial
        for seed in plan.studies
        for method in plan.methods
        for trial in tuned_trials(plan, workload, method, seed)
    ]
    found = finished(results, everything)
    if not found:
        return {"ours": ours, "best": []}
    best, _ = best_of(found)
    return {"ours": ours, "best": [_again(plan, workload, best, seed) for seed in plan.studies]}


def _again(plan: Plan, workload: Workload, trial: Trial, seed: int) -> Trial:
    """Return a baseline's run with another seed; the run itself with its own."""
    if seed == trial.seed:
        return trial
    (point,) = [
        number
        for number, other in enumerate(tuned_trials(plan, workload, trial.method, trial.seed))
        if other == trial
    ]
    chosen = trial.overrides[len(baseline(plan, workload, trial.method, "", seed, []).overrides) :]
    label = f"s{trial.seed}-t{point}-again{seed}"
    return baseline(plan, workload, trial.method, label, seed, chosen)


def count_words(plan: Plan, workloads: Sequence[str], studies: Sequence[int], pool: Pool) -> None:
    """Train what is missing of some studies, decode and score.

    The machine whose results count chooses the best baseline. Where it is not this one, both sides
    are trained here again: their words are compared with each other, not with times of elsewhere.
    """
    for name in workloads:
        chosen = sides(plan, plan.workloads[name], pool.results)
        trials = [t for side in chosen.values() for t in side if t.seed in studies]
        pool.train(trials)
        left = []
        for trial in trials:
            record = pool.results.here(trial)
            if record is not None and record["state"] == DONE and "wer" not in record:
                left.append(trial)
        pool.each(lambda trial, core: _score(trial, core, pool.results), left)


def _score(trial: Trial, core: int, results: Results) -> None:
    # Results outlive run folders: one that is gone is made again, one that is there is left.
    for verb in ("train", "decode", "score"):
        outcome = run(verb, trial, core)
        if outcome.code:
            raise failed(verb, trial, outcome.code)
    wer = read_json(trial.folder / "result.json")["wer"]
    results.add(trial, {**(results.here(trial) or {}), "wer": _sets(wer)})


def _sets(wer: dict[str, Any]) -> dict[str, Any]:
    kept = ("percent", "errors", "words", "interval")
    return {name: {key: of_set[key] for key in kept} for name, of_set in wer["sets"].items()}


def word_figures(plan: Plan, workload: Workload, results: Results) -> dict[str, Any]:
    """Return the median word error rate of each side over seeds, in percent; None if unknown.

    Both are of one machine, the one that has decoded most runs of both.
    """
    chosen = sides(plan, workload, results)
    by_machine = {
        machine: {side: _rates(records, trials, workload) for side, trials in chosen.items()}
        for machine, records in results.runs.items()
    }
    none: dict[str, list[float]] = {side: [] for side in chosen}
    machine, rates = max(
        by_machine.items(), key=lambda pair: min(map(len, pair[1].values())), default=("", none)
    )
    figures: dict[str, Any] = {"wer_machine": machine if any(rates.values()) else None}
    for side, found in rates.items():
        figures[f"wer_{side}"] = median(found) if found else None
        figures[f"wer_{side}_seeds"] = len(found)
    return figures


def _rates(
    records: Mapping[str, Record], trials: Sequence[Trial], workload: Workload
) -> list[float]:
    """Return the word error rates of the decoded runs among those of one machine, in percent."""
    return [
        records[trial.name]["wer"][workload.test]["percent"]
        for trial in trials
        if workload.test in records.get(trial.name, {}).get("wer", {})
    ]
