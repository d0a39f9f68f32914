"""Writes the studies of sequence training as a page with tables and pictures."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from asr_hf.report.picture import plot_compare
from asr_hf.runtime.files import write_text
from benchmarks.sequence.figures import chosen
from benchmarks.sequence.steps import ROOT, STUDIES, Study, commands

LABELS = {
    "ce": "cross-entropy: the start",
    "hf-smbr": "sMBR by HF",
    "hf-mmi": "MMI by HF",
    "sgd-smbr": "sMBR by SGD",
    "ce-longer": "control: cross-entropy for longer",
    "ce-rescaled": "control: the start's logits rescaled",
}
_RACERS = ("hf-smbr", "sgd-smbr")


def wer_table(figures: dict[str, Any], tests: Sequence[str]) -> str:
    """Tabulate word errors of every kind: medians over seeds, ranges, changes to the start."""
    heads = ["", "dev errors", *(f"WER, {t} | against the start" for t in tests), "seeds"]
    lines = ["| " + " | ".join(heads) + " |", "| :-- |" + " --: |" * (2 + 2 * len(tests))]
    for kind, label in LABELS.items():
        runs = figures["runs"][kind]
        if not runs:
            continue
        cells = [label, _spread([run["dev_errors"] for run in runs], "{:.0f}")]
        for name in tests:
            cells.append(_spread([run["wer"][name]["percent"] for run in runs], "{:.1f}") + " %")
            change = figures.get(f"{kind}_against_ce", {}).get(name)
            cells.append(_change(change) if change else "–")
        lines.append("| " + " | ".join([*cells, str(len(runs))]) + " |")
    return "\n".join(lines)


def paired_lines(figures: dict[str, Any], tests: Sequence[str]) -> str:
    """List every seed's paired test of HF's sMBR and MMI against the start."""
    lines = []
    for kind in ("hf-smbr", "hf-mmi"):
        for name in tests:
            change = figures[f"{kind}_against_ce"].get(name, {"paired": []})
            for run, test in zip(figures["runs"][kind], change["paired"], strict=True):
                low, high = test["interval"]
                lines.append(
                    f"- {LABELS[kind]}, {name}, seed {run['seed']}: {test['difference']:+.2f} "
                    f"points, 95 % interval {low:+.2f} to {high:+.2f}"
                )
    return "\n".join(lines)


def race_lines(race: dict[str, Any]) -> str:
    """Describe how much sooner HF reached SGD's best held-out loss, and both final losses."""
    lines = []
    for ways, ends in zip(race["ways"], race["best_loss"], strict=True):
        lines.append(
            f"- best held-out loss: HF {ends['hf']:.4f}, "
            f"SGD with its best settings {ends['sgd']:.4f}"
        )
        for way, ratio in ways.items():
            reached = f"{ratio:.1f} times sooner" if ratio else "never"
            utterances, _, rate = way.removeprefix("sgd-smbr-").partition("x")
            lines.append(
                f"- HF reaches the best loss of SGD with {utterances} utterance(s) an update and "
                f"rate {rate}: {reached}"
            )
    return "\n".join(lines)


def _change(change: dict[str, Any]) -> str:
    return _spread([100 * each for each in change["by_seed"]], "{:+.1f}") + " %"


def _spread(values: list[float], form: str) -> str:
    middle = form.format(median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({form.format(min(values))} to {form.format(max(values))})"


def section(key: str, study: Study, figures: dict[str, Any], out: Path) -> str:
    """Write one study's part of the page; its picture goes beside `out`."""
    seed = study.seeds[0]
    folders = {LABELS[kind]: chosen(study, kind, seed) for kind in _RACERS}
    there = {label: folder for label, folder in folders.items() if folder is not None}
    picture = out.with_name(f"{out.stem}-{key}.svg")
    parts = [f"## {study.recipe}\n", wer_table(figures, study.tests) + "\n"]
    if there:
        plot_compare(list(there.values()), list(there), picture)
        parts.append(f"![held-out loss against work and seconds]({picture.name})\n")
    for heading, listed in (
        ("HF against SGD, by the held-out loss of sMBR:", race_lines(figures["hf_over_sgd"])),
        (
            "Changes of the WER against the start, paired over utterances:",
            paired_lines(figures, study.tests),
        ),
    ):
        parts += [f"{heading}\n", f"{listed}\n"] if listed else []
    lines = [
        shlex.join(["asr-hf", *command]).replace(f"{ROOT}/", "")
        for kind in ("ce", *_RACERS, "hf-mmi", "ce-longer")
        if (folder := chosen(study, kind, seed)) is not None
        for command in commands(study, folder.name.rpartition("-seed")[0], seed)
    ]
    return "\n".join([*parts, f"The commands of seed {seed}:\n", "```", *lines, "```", ""])


def write_page(results: dict[str, Any], out: Path) -> None:
    """Write the page of the studies in `results`."""
    parts = [
        section(key, study, results[key], out)
        for key, study in STUDIES.items()
        if key in results and results[key]["runs"]["ce"]
    ]
    machine = next(results[key]["machine"] for key in STUDIES if key in results)
    write_text(out, _introduction(machine) + "\n".join(parts))


def _introduction(machine: dict[str, Any]) -> str:
    return f"""\
# What sequence training brings

This page says how many word errors sequence training by Hessian-free optimisation (HF) saves, and
how soon it gets as far as SGD. It is for readers who want all figures. [results.md](results.md) has
the summary, and [sequence.md](sequence.md) says how to train. Each of these commands makes one part
of the page:

```
python -m benchmarks.sequence                 # the part on prompts5x
python -m benchmarks.sequence --study clean   # the part on prompts5
```

- The machine is {machine["cpu"]}, with torch {machine["torch"]}. Every run has one thread.
- The figures are medians over seeds. The smallest and the largest follow in brackets.
- Every model is decoded at its own acoustic scale and word insertion penalty. The development set
  chooses these, and also the iteration. Nothing is tuned on the test sets.
- "The start" is the network that cross-entropy has trained, and that sequence training starts from.
- The held-out loss of sMBR is the expected share of wrong frames.

"""
