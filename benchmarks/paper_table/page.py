"""Writes the table as a page with a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asr_hf.report.picture_style import COLOURS, house_style, save_picture
from asr_hf.report.scale import si
from asr_hf.runtime.files import write_text
from benchmarks.paper_table.figures import Record, ratios_to_plain
from benchmarks.paper_table.settings import CORPORA, ROWS

_COLOURS = {
    "plain": COLOURS[6],
    "preconditioner": COLOURS[1],
    "sampling": COLOURS[2],
    "both": COLOURS[0],
}


def write_page(results: dict[str, Any], places: Sequence[dict[str, Any]], out: Path) -> None:
    """Write the page of the runs there are, and its picture beside it.

    Args:
        results: figures of the table.
        places: figures of `python -m benchmarks.paper_table.reasons`.
        out: path of the page.
    """
    runs, machine = results["runs"], results["machine"]
    corpora = [name for name in CORPORA if any(run["corpus"] == name for run in runs)]
    parts = [_INTRODUCTION.format(cpu=machine["cpu"], torch=machine["torch"])]
    if not corpora:
        parts.append("No run is finished yet.\n")
    for name in corpora:
        parts.append(_section(name, [run for run in runs if run["corpus"] == name]))
    if places:
        parts.append(_reasons(places))
    if corpora:
        draw(runs, corpora, out.with_suffix(".svg"))
        parts.append(f"![held-out loss against work]({out.with_suffix('.svg').name})\n")
        parts.append("## Commands\n\n```\n" + "\n".join(r["command"] for r in runs) + "\n```\n")
    write_text(out, "\n".join(parts))


_INTRODUCTION = """\
# What the paper's two parts bring

Sainath et al. (2013) train with sMBR by Hessian-free optimisation (HF), from a cross-entropy
network. They add two parts to plain HF: an L-BFGS preconditioner and growing samples. They report
that both together take 1.5 times less time on 50 hours of speech, and over 2.3 times less on 300
hours. This page says what the two parts bring in asr-hf, with all figures. [results.md](results.md)
has the summary. `make paper-table` made the page on
{cpu}, torch {torch}.

`benchmarks/paper_table/settings.py` holds all settings. Every run has one thread; two run at once.

## How to read the tables

- A row gives the cost until its held-out loss is as low as the lowest of the plain row with the
  same seed. The held-out loss is the expected share of wrong frames.
- Seconds and work leave out the looks at all held-out data. Work counts a gradient frame as 3, a
  curvature frame as 4 and a loss frame as 1.
- "Plain over" is the cost of the plain row divided by that of the row. Below 1, the row is slower.
- The figures are medians over seeds. The smallest and the largest follow in brackets.
- "≥" means that a run never reached that loss. Then its whole cost counts, and the ratios are
  bounds from above ("≤").
- "WER there" is the word error rate of the test sets together, where the loss is reached. "WER at
  its end" is that at the run's lowest held-out loss. The development set chooses the decoding
  weights.
"""


def _section(name: str, runs: Sequence[Record]) -> str:
    frames = runs[0]["trace"][-1]["gradient_frames"] if runs else 0
    whole = max((e["gradient_frames"] or 0 for run in runs for e in run["trace"]), default=frames)
    start = [run["start"]["wer"]["percent"] for run in runs if run["start"]["wer"]]
    said = f"sMBR trains on {whole / 6000:.0f} minutes of speech ({whole} frames)."
    if start:
        said += f" The cross-entropy networks have a WER of {_spread(start, '{:.1f}')} %."
    return f"## {name}\n\n{said}\n\n{_table(runs)}\n"


def _reasons(places: Sequence[dict[str, Any]]) -> str:
    """Tabulate the CG steps that pairs save at single models."""
    labels = list(dict.fromkeys(trial["label"] for place in places for trial in place["trials"]))
    heads = ["run, iteration", "λ", "curvature frames", "ρ", *labels]
    lines = ["| " + " | ".join(heads) + " |", "| :-- |" + " --: |" * (len(heads) - 1)]
    for place in places:
        trials = {trial["label"]: trial for trial in place["trials"]}
        cells = [f"{place['run']}, {place['iteration'] + 1}", f"{place['lambda']:g}"]
        cells += [str(place["frames"]), f"{place['rho']:.2f}"]
        for label in labels:
            trial = trials.get(label)
            near = trial and trial["steps_to"]["0.95"]
            cells.append(f"{trial['steps']} ({near or '–'})" if trial else "–")
        lines.append("| " + " | ".join(cells) + " |")
    return f"{_REASONS}\n" + "\n".join(lines) + "\n"


_REASONS = """\
## What pairs are worth

The L-BFGS preconditioner is made from pairs that CG steps leave. This table says how many CG steps
such pairs save, at models that a run kept. `python -m benchmarks.paper_table.reasons` makes it.

- A cell gives the CG steps from zero to CG's own end. In brackets are the steps to 95 % of the
  value of the quadratic model q that CG finds without a preconditioner.
- Pairs of the iteration before are those of training. The other pairs differ from those of this
  very run in one thing alone, their model or their sample.
- ρ is the fall of the loss on the gradient sample over that of q. Below a quarter, the damping λ
  grows.
"""


def _table(runs: Sequence[Record]) -> str:
    heads = ["", "seconds", "work", "CG steps", "time, plain over", "work, plain over"]
    heads += ["WER there", "WER at its end", "runs"]
    lines = ["| " + " | ".join(heads) + " |", "| :-- |" + " --: |" * (len(heads) - 1)]
    for row in ROWS:
        own = [run for run in runs if run["row"] == row.key]
        if not own:
            continue
        least = "" if all(run["reached"] for run in own) else "≥ "
        cells = [
            row.label,
            least + _spread([run["seconds"] for run in own], "{:.0f}"),
            least + _spread([run["work"] / 1e6 for run in own], "{:.1f}") + " M",
            least + _spread([run["cg_iterations"] for run in own], "{:.0f}"),
            *(_ratio(runs, row.key, cost, least) for cost in ("seconds", "work")),
            _spread([run["wer"]["percent"] for run in own], "{:.1f}") + " %",
            _spread([run["end"]["wer"]["percent"] for run in own], "{:.1f}") + " %",
            str(len(own)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _ratio(runs: Sequence[Record], row: str, cost: str, least: str) -> str:
    ratios = ratios_to_plain(runs, row, cost)
    if row == "plain" or not ratios:
        return "–"
    return ("≤ " if least else "") + _spread(ratios, "{:.2f}") + "×"


def _spread(values: Sequence[float], form: str) -> str:
    middle = form.format(median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({form.format(min(values))}–{form.format(max(values))})"


def draw(runs: Sequence[Record], corpora: Sequence[str], out: Path) -> None:
    """Draw held-out loss against work and seconds, a row of panels for each corpus."""
    with house_style():
        figure = Figure(figsize=(10, 3.6 * len(corpora)), layout="constrained")
        panels = figure.subplots(len(corpora), 2, squeeze=False, sharey="row")
        for name, (left, right) in zip(corpora, panels, strict=True):
            own = [run for run in runs if run["corpus"] == name]
            _panel(left, own, "work", "work (gradient frame 3, curvature frame 4, loss frame 1)")
            _panel(right, own, "seconds", "training time (seconds)")
            left.set_title(name)
            left.set_ylabel("held-out expected share of wrong frames")
        left.legend()
        save_picture(figure, out)


def _panel(axes: Axes, runs: Sequence[Record], cost: str, label: str) -> None:
    labels = {row.key: row.label for row in ROWS}
    for run in runs:
        events = [event for event in run["trace"] if event["heldout_loss"] is not None]
        axes.plot(
            [event[cost] for event in events],
            [event["heldout_loss"] for event in events],
            color=_COLOURS[run["row"]],
            linewidth=1.2,
            label=labels.pop(run["row"], None),
        )
    axes.xaxis.set_major_formatter(lambda value, _: si(value))
    axes.set_xlabel(label)
