"""Word errors of the best run of each side, with the seeds of all studies."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from asr_hf.runtime.files import read_json
from benchmarks.race.figures import best_of, finished
from benchmarks.race.plan import Plan, Workload
from benchmarks.race.results import Results
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
    """Train what is missing of some studies, decode and score."""
    for name in workloads:
        chosen = sides(plan, plan.workloads[name], pool.results)
        trials = [t for side in chosen.values() for t in side if t.seed in studies]
        pool.train(trials)
        pool.each(
            lambda trial, core: _score(trial, core, pool.results),
            [t for t, record in finished(pool.results, trials) if "wer" not in record],
        )


def _score(trial: Trial, core: int, results: Results) -> None:
    for verb in ("decode", "score"):
        outcome = run(verb, trial, core)
        if outcome.code:
            raise failed(verb, trial, outcome.code)
    wer = read_json(trial.folder / "result.json")["wer"]
    results.add(trial, {**(results.of(trial) or {}), "wer": _sets(wer)})


def _sets(wer: dict[str, Any]) -> dict[str, Any]:
    kept = ("percent", "errors", "words", "interval")
    return {name: {key: of_set[key] for key in kept} for name, of_set in wer["sets"].items()}


def word_figures(plan: Plan, workload: Workload, results: Results) -> dict[str, Any]:
    """Return the median word error rate of each side over seeds, in percent; None if unknown."""
    figures: dict[str, Any] = {}
    for side, trials in sides(plan, workload, results).items():
        rates = [
            record["wer"][workload.test]["percent"]
            for _, record in finished(results, trials)
            if workload.test in record.get("wer", {})
        ]
        figures[f"wer_{side}"] = median(rates) if rates else None
        figures[f"wer_{side}_seeds"] = len(rates)
    return figures
