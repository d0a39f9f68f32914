"""Compares several runs, in a table and in a figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from asr_hf.report.run_data import OPTIMISERS, RunData, number
from asr_hf.report.scale import duration, readable_top, si
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path

# The palette of Okabe & Ito, which people with colour blindness can tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222", "#8a8a8a")
STYLES = ("-", "--", ":", "-.")
_WER_KEYS = ("percent", "interval", "errors", "words")


def compare(
    run_dirs: Sequence[Path], labels: Sequence[str] | None = None
) -> tuple[str, list[dict[str, Any]]]:
    """Compare runs, finished or not, by their best results and their costs.

    Costs are also compared at the common loss, the best held-out loss of the worst run, which every
    run has reached. A run reaches it at its first event with such a loss or a lower one.

    Args:
        run_dirs: run folders.
        labels: names in the table; None for the runs' own names.

    Returns:
        A Markdown table, and its rows as JSON-able values.

    Raises:
        InputError: a folder holds no run, a run has no held-out loss yet, or labels and folders
            differ in number.
    """
    runs = _read(run_dirs, labels)
    rows = [_row(label, run) for label, run in runs]
    common = max(row["heldout_loss"] for row in rows)
    for row, (_, run) in zip(rows, runs, strict=True):
        row["common_loss"] = common
        row |= _cost_to(run, common)
    return _markdown(rows, common), rows


def plot_compare(
    run_dirs: Sequence[Path], labels: Sequence[str] | None, out: Path, title: str = ""
) -> Path:
    """Draw the runs' held-out loss against work and against training time.

    Args:
        run_dirs: run folders.
        labels: names in the legend; None for the runs' own names.
        out: path of the figure; its suffix (.svg, .png, .pdf) gives the format.
        title: title above both panels.

    Returns:
        The path of the figure.

    Raises:
        InputError: a folder holds no run, a run has no held-out loss yet, labels and folders differ
            in number, or the suffix is not known.
        RunError: the figure cannot be written.
    """
    runs = _read(run_dirs, labels)
    kind = out.suffix.lower().removeprefix(".")
    if kind not in ("svg", "png", "pdf"):
        raise InputError(f"{out}: cannot draw {kind or 'without suffix'}", expected=".svg or .png")
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "asr-hf"}):
        figure = Figure(figsize=(10, 4.4), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _panel(left, runs, "work", "work (gradient frame 3, curvature frame 4, loss frame 1)")
        _panel(right, runs, "seconds", "training time (seconds)")
        _limit_losses(left, runs)
        left.set_ylabel("held-out loss (nats a frame)")
        handles, names = left.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
        if title:
            figure.suptitle(title, fontweight="bold")
        # Without a date in the file, the same runs give the same bytes.
        metadata = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
        with atomic_path(out) as temporary:
            figure.savefig(temporary, format=kind, dpi=160, metadata=metadata)
    return out


def _read(run_dirs: Sequence[Path], labels: Sequence[str] | None) -> list[tuple[str, RunData]]:
    if not run_dirs or (labels is not None and len(labels) != len(run_dirs)):
        raise InputError(
            f"{len(run_dirs)} runs with {'no' if labels is None else len(labels)} labels",
            expected="at least one run, and one label for each",
        )
    runs = [RunData.read(Path(folder)) for folder in run_dirs]
    for run in runs:
        if run.best is None:
            raise InputError(
                f"{run.path}: no held-out loss yet", remedy="train it first, or leave it out"
            )
    return list(zip(labels or [run.name for run in runs], runs, strict=True))


def _row(label: str, run: RunData) -> dict[str, Any]:
    wer = run.result.get("wer") or {}
    return {
        "label": label,
        "optimiser": run.optimiser,
        "finished": run.finished,
        "heldout_loss": _best_loss(run),
        "heldout_frame_error": run.figure("heldout_frame_error"),
        "wer": {key: wer[key] for key in ("percent", "interval", "errors", "words")}
        if wer
        else None,
        "iterations": int(run.figure("iterations") or 0),
        "work": run.figure("work"),
        "seconds": run.figure("seconds"),
    }


def _cost_to(run: RunData, loss: float) -> dict[str, float | None]:
    reached = next(
        event for event in run.events if (number(event, "heldout_loss") or loss + 1) <= loss
    )
    return {
        "work_to_common": number(reached, "work"),
        "seconds_to_common": number(reached, "seconds"),
    }


def _markdown(rows: list[dict[str, Any]], common: float) -> str:
    head = ["run", "optimiser", "held-out loss", "frame error", "WER (95 % interval)"]
    head += ["work", f"work to {common:.4f}", "time", f"time to {common:.4f}"]
    cells = [head]
    for row in rows:
        error, wer = row["heldout_frame_error"], row["wer"]
        cells.append(
            [
                row["label"] + ("" if row["finished"] else " (unfinished)"),
                OPTIMISERS.get(row["optimiser"], row["optimiser"]),
                f"{row['heldout_loss']:.4f}",
                "–" if error is None else f"{100 * error:.1f} %",
                _wer(wer) if wer else "–",
                *(_known(row[key], si) for key in ("work", "work_to_common")),
                *(_known(row[key], duration) for key in ("seconds", "seconds_to_common")),
            ]
        )
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    rule = [":" + "-" * (w - 1) if i < 2 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    lines = [cells[0], rule, *cells[1:]]
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(w) if i < 2 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )


def _wer(wer: dict[str, Any]) -> str:
    low, high = wer["interval"]
    return f"{wer['percent']:.1f} % ({low:.1f} to {high:.1f})"


def _known(value: float | None, write: Callable[[float], str]) -> str:
    return "–" if value is None else write(value)


def _panel(axes: Axes, runs: list[tuple[str, RunData]], against: str, x_label: str) -> None:
    for i, (label, run) in enumerate(runs):
        points = [
            (x, y)
            for event in run.events
            if (x := number(event, against)) and (y := number(event, "heldout_loss")) is not None
        ]
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            label=label,
            color=COLOURS[i % len(COLOURS)],
            linestyle=STYLES[i // len(COLOURS) % len(STYLES)],
            linewidth=1.8,
            marker="o",
            markersize=3,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(lambda value, _: si(value))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(x_label)
    axes.grid(color="#e4e4e0", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _limit_losses(axes: Axes, runs: list[tuple[str, RunData]]) -> None:
    """Cut off a steep start, but never a whole run."""
    losses = [
        loss
        for _, run in runs
        for event in run.steps
        if (loss := number(event, "heldout_loss")) is not None
    ]
    top = readable_top(losses)
    if top is None:
        return
    lowest = min(losses)
    worst = max(_best_loss(run) for _, run in runs)
    top = max(top, worst + 0.3 * (worst - lowest))
    axes.set_ylim(lowest - 0.05 * (top - lowest), top)


def _best_loss(run: RunData) -> float:
    return float((run.best or {})["heldout_loss"])
