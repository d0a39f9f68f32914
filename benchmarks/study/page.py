"""Writes the study as a page with tables and pictures."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from asr_hf.report.picture import plot_compare
from asr_hf.runtime.files import write_text
from benchmarks.study.methods import METHODS, Preset
from benchmarks.study.runs import Run, grid, tuned

_RATIOS = {
    "preconditioner_over_plain": "L-BFGS preconditioner over plain HF",
    "sampling_over_plain": "geometric sampling over plain HF",
    "paper_over_plain": "both (the paper) over plain HF",
    "best_over_plain": "best HF over plain HF",
    "best_over_paper": "best HF over the paper's",
    "best_over_sgd": "best HF over SGD",
    "best_over_adam": "best HF over Adam",
}
_DIFFERENCES = {
    "wer_paper_minus_plain": "WER of the paper's HF minus plain HF's",
    "wer_best_minus_sgd": "WER of the best HF minus SGD's",
    "wer_best_minus_adam": "WER of the best HF minus Adam's",
}


def methods_table(results: dict[str, Any], tests: Sequence[str]) -> str:
    """Tabulate the figures of each method: medians over seeds, with ranges."""
    heads = ["method", "rate", "held-out loss", "frame error", *(f"WER, {t}" for t in tests)]
    heads += ["work", "time", "runs"]
    lines = ["| " + " | ".join(heads) + " |", "| :-- |" + " --: |" * (len(heads) - 1)]
    for method in results["methods"].values():
        runs = method["runs"]
        if not runs:
            continue
        rate = method.get("rate")
        errors = [[run["wer"][t]["percent"] for run in runs if run["wer"]] for t in tests]
        cells = [
            method["label"],
            "–" if rate is None else f"{rate:g}",
            _spread([run["heldout_loss"] for run in runs], "{:.3f}"),
            _spread([100 * run["frame_error"] for run in runs], "{:.1f}") + " %",
            *(_spread(each, "{:.1f}") + " %" if each else "–" for each in errors),
            _spread([run["work"] / 1e6 for run in runs], "{:.0f}") + " M",
            _spread([run["seconds"] for run in runs], "{:.0f}") + " s",
            str(len(runs)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ratios_table(results: dict[str, Any]) -> str:
    """Tabulate how much faster each method reaches another's best loss."""
    lines = ["| faster over slower | work | time |", "| :-- | --: | --: |"]
    for key, label in _RATIOS.items():
        cells = [label]
        for cost in ("work", "seconds"):
            each = [result for result in results[key][f"{cost}_by_seed"] if result]
            reached = results[key][cost] is not None
            bound = "≥ " if any(result["at_least"] for result in each) else ""
            if reached:
                spread = _spread([result["ratio"] for result in each], "{:.2f}")
                cells.append(f"{bound}{spread}×")
            else:
                cells.append("not reached")
        if results[key]["seeds"]:
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _spread(values: list[float], form: str) -> str:
    middle = form.format(median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({form.format(min(values))}–{form.format(max(values))})"


def shown_runs(preset: Preset) -> dict[str, Run]:
    """Find the first seed's finished run of each method, by label."""
    chosen = {method.label: tuned(method, preset) for method in METHODS}
    return {label: runs[0] for label, runs in chosen.items() if runs and runs[0].result()}


def commands(preset: Preset) -> str:
    """List the training command of every finished run."""
    runs = [run for method in METHODS for run in [*grid(method, preset), *tuned(method, preset)]]
    lines = [shlex.join(["asr-hf", "train", *run.overrides]) for run in runs if run.result()]
    return "\n".join(dict.fromkeys(lines))


def _introduction(preset: Preset, machine: dict[str, Any], command: str) -> str:
    return f"""\
# Acceleration on {preset.recipe}

This page compares ways of Hessian-free optimisation (HF) with SGD and Adam, in the regime of the
paper (Sainath et al. 2013): which held-out loss each reaches, and how soon. It is for readers who
want all figures. [results.md](results.md) has the summary. `{command}` made the page on
{machine["cpu"]} with torch {machine["torch"]}.

**The baselines are those of 2012.** The network has no normalisation, and SGD and Adam halve their
rates when the held-out loss stalls. [race.md](race.md) measures what people use today: AdamW,
normalised ReLU networks, and rates that decay to zero.

- All runs share the settings `{preset.overrides}`. Every run has one thread on a core of its own.
- The figures are medians over seeds. The smallest and the largest follow in brackets.
- Work counts a gradient frame as 3, a curvature frame as 4 and a loss frame as 1. Time is what the
  optimiser spent, and includes its own looks at held-out data.
- Learning rates are chosen by held-out loss from the grids in the commands below. Nothing is tuned
  on the test set.
- HF ends after a fixed number of iterations, except for the best HF.

"""


_SPEED_UPS = """\
Each row says how much sooner the faster method reaches the best held-out loss of the slower one.
Against SGD and Adam, it is the better one's best loss. "≥" means that the slower method never
reached that loss, so that all its time counts. "Not reached" means that the faster method never
reached it.
"""


def write_page(preset: Preset, results: dict[str, Any], command: str, out: Path) -> None:
    """Write the page to `out`, and its picture beside it as SVG."""
    shown = shown_runs(preset)
    picture = out.with_suffix(".svg")
    plot_compare([run.folder for run in shown.values()], list(shown), picture)
    machine = results["machine"]
    wers = [
        f"- {label}, {name}: {test['difference']:+.2f} points, 95 % interval "
        f"{test['interval'][0]:+.2f} to {test['interval'][1]:+.2f} (paired over utterances)\n"
        for key, label in _DIFFERENCES.items()
        for name, test in (results[key] or {}).items()
    ]
    write_text(
        out,
        _introduction(preset, machine, command)
        + f"![held-out loss against work and seconds]({picture.name})\n\n"
        f"## What each reached\n\n{methods_table(results, preset.tests)}\n\n"
        f"## Speed-ups\n\n{_SPEED_UPS}\n"
        f"{ratios_table(results)}\n\n{''.join(wers)}\n"
        f"## Commands\n\n```\n{commands(preset)}\n```\n",
    )
