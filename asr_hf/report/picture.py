"""Draws the held-out losses of several runs in one figure file, for pages in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asr_hf.report.comparison.comparison import curve
from asr_hf.report.comparison.runs import ComparedRun, read_runs
from asr_hf.report.losses import UNKNOWN, loss_of
from asr_hf.report.picture_style import (
    COLOURS,
    STYLES,
    house_style,
    label_log_axis,
    save_picture,
)
from asr_hf.report.scale import shared_top
from asr_hf.runtime.errors import InputError


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
    runs = read_runs(run_dirs, labels)
    for run in runs:
        if run.data.best is None:
            raise InputError(
                f"{run.folder}: {run.problem}", remedy="train it first, or leave it out"
            )
    kind = out.suffix.lower().removeprefix(".")
    if kind not in ("svg", "png", "pdf"):
        raise InputError(f"{out}: cannot draw {kind or 'without suffix'}", expected=".svg or .png")
    with house_style():
        figure = Figure(figsize=(10, 4.4), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _panel(left, runs, "work", "work (gradient frame 3, curvature frame 4, loss frame 1)")
        _panel(right, runs, "seconds", "training time (seconds)")
        # Of the start, which all share, nothing is seen.
        losses = [[y for _, y in curve(run, "work")[1:]] for run in runs]
        if (top := shared_top(losses)) is not None:
            lowest = min(min(one, default=top) for one in losses)
            left.set_ylim(lowest - 0.05 * (top - lowest), top)
        kinds = {loss_of(run.data.config) for run in runs}
        left.set_ylabel(f"held-out {(kinds.pop() if len(kinds) == 1 else UNKNOWN).axis}")
        handles, names = left.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
        if title:
            figure.suptitle(title, fontweight="bold")
        save_picture(figure, out)
    return out


def _panel(axes: Axes, runs: Sequence[ComparedRun], against: str, x_label: str) -> None:
    for i, run in enumerate(runs):
        points = [(x, y) for x, y in curve(run, against) if x > 0]
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            label=run.label,
            color=COLOURS[i % len(COLOURS)],
            linestyle=STYLES[i // len(COLOURS) % len(STYLES)],
            linewidth=1.8,
            marker="o",
            markersize=3,
        )
    axes.set_xscale("log")
    label_log_axis(axes.xaxis)
    axes.set_xlabel(x_label)
