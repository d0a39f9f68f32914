"""Figures of the runs: losses reached, word error rates, and speed-ups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from asr_hf.report.run_data import RunData, number
from asr_hf.scoring.paired import PairedBootstrap
from asr_hf.scoring.transcripts import read_table
from asr_hf.scoring.wer import score
from benchmarks.study.methods import METHODS, Preset
from benchmarks.study.runs import Run, grid, tuned

COSTS = ("work", "seconds")
# Pairs of methods, the faster first; None stands for both baselines together.
PAIRS = (
    ("preconditioner", "plain"),
    ("sampling", "plain"),
    ("paper", "plain"),
    ("best", "plain"),
    ("best", "paper"),
    ("best", "sgd"),
    ("best", "adam"),
)
BASELINES = ("sgd", "adam")


def cost_to(run: RunData, loss: float, cost: str) -> float | None:
    """Return the cost of a run until its held-out loss is `loss` or less; None if it never is."""
    for event in run.events:
        reached = number(event, "heldout_loss")
        if reached is not None and reached <= loss:
            return number(event, cost)
    return None


def best_loss(run: RunData) -> float:
    """Find the lowest held-out loss of a run."""
    return float((run.best or {})["heldout_loss"])


def speed_up(fast: RunData, slow: RunData, loss: float, cost: str) -> dict[str, Any] | None:
    """Compute how many times faster `fast` reaches a loss than `slow`.

    Returns:
        `ratio`; and `at_least` where `slow` never reaches the loss, and its whole cost is taken.
        None if `fast` never reaches it.
    """
    fast_cost, slow_cost = cost_to(fast, loss, cost), cost_to(slow, loss, cost)
    if not fast_cost:
        return None
    if slow_cost is None:
        return {"ratio": (number(slow.events[-1], cost) or 0.0) / fast_cost, "at_least": True}
    return {"ratio": slow_cost / fast_cost, "at_least": False}


def read_runs(preset: Preset) -> dict[str, dict[int, RunData]]:
    """Read the finished runs of each method by seed; tuned methods have their best rate."""
    runs: dict[str, dict[int, RunData]] = {}
    for method in METHODS:
        done = [run for run in tuned(method, preset) if run.result()]
        runs[method.key] = {run.seed: RunData.read(run.folder) for run in done}
    return runs


def figures(preset: Preset) -> dict[str, Any]:
    """Collect the figures of acceleration.json, without the machine."""
    runs = read_runs(preset)
    return {
        "methods": {
            m.key: _method(runs[m.key], m.label, preset.tests) | _grid(m.key, preset)
            for m in METHODS
        },
        **{f"{fast}_over_{slow}": _over(runs, fast, slow) for fast, slow in PAIRS},
        "wer_paper_minus_plain": _wer_differences(preset, "plain", "paper"),
        "wer_best_minus_sgd": _wer_differences(preset, "sgd", "best"),
        "wer_best_minus_adam": _wer_differences(preset, "adam", "best"),
    }


def _method(runs: dict[int, RunData], label: str, tests: Sequence[str]) -> dict[str, Any]:
    rows = [
        {
            "seed": seed,
            "heldout_loss": best_loss(run),
            "frame_error": run.figure("heldout_frame_error"),
            "wer": _wers(run, tests),
            "iterations": run.figure("iterations"),
            **{cost: run.figure(cost) for cost in COSTS},
        }
        for seed, run in sorted(runs.items())
    ]
    return {"label": label, "runs": rows}


def _wers(run: RunData, tests: Sequence[str]) -> dict[str, Any] | None:
    """Read word errors of each test set; None while the run is not decoded."""
    if not run.result.get("wer"):
        return None
    sets = run.result["wer"]["sets"]
    return {t: {k: sets[t][k] for k in ("percent", "errors", "words", "interval")} for t in tests}


def _grid(key: str, preset: Preset) -> dict[str, Any]:
    (method,) = (m for m in METHODS if m.key == key)
    if not method.rates:
        return {}
    losses = {f"{run.rate:g}": run.result().get("heldout_loss") for run in grid(method, preset)}
    chosen = tuned(method, preset)
    return {"rate": chosen[0].rate if chosen else None, "heldout_loss_by_rate": losses}


def _over(runs: dict[str, dict[int, RunData]], fast: str, slow: str) -> dict[str, Any]:
    """Compute speed-ups of one method over another, by seed and their median.

    The loss is the best that the slower method reaches; where that is SGD or Adam, the best of
    both.

    Returns:
        The figures, plain values.
    """
    rivals = BASELINES if slow in BASELINES else (slow,)
    seeds = sorted(set(runs[fast]).intersection(*(runs[rival] for rival in rivals)))
    result: dict[str, Any] = {"seeds": seeds}
    for cost in COSTS:
        each = []
        for seed in seeds:
            target = min(best_loss(runs[rival][seed]) for rival in rivals)
            each.append(speed_up(runs[fast][seed], runs[slow][seed], target, cost))
        known = [figures_of_seed["ratio"] for figures_of_seed in each if figures_of_seed]
        result[cost] = median(known) if known and len(known) == len(each) else None
        result[f"{cost}_by_seed"] = each
    return result


def _wer_differences(preset: Preset, before: str, after: str) -> dict[str, Any] | None:
    """Test two methods' first seeds in pairs on each test set, all languages together."""
    methods = {m.key: m for m in METHODS}
    chosen = [next(iter(tuned(methods[key], preset)), None) for key in (before, after)]
    if not all(run and run.result().get("wer") for run in chosen):
        return None
    runs = [run for run in chosen if run]
    differences = {}
    for name in preset.tests:
        refs = read_table(_decoded(runs[0], name, "ref"))
        hyps = [read_table(_decoded(run, name, "hyp")) for run in runs]
        test = PairedBootstrap([score(refs, one) for one in hyps]).between(0, 1)
        differences[name] = {"difference": test.difference, "interval": list(test.interval)}
    return differences


def _decoded(run: Run, name: str, kind: str) -> Path:
    return run.folder / "decode" / name / f"{kind}.txt"
