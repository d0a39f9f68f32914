"""Draws the race: losses over time, a performance profile, steps against minibatches."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from asr_hf.report.losses import CROSS_ENTROPY
from asr_hf.report.picture_style import COLOURS, house_style, label_log_axis, save_picture
from benchmarks.race.figures import best_of, finished, trials_of
from benchmarks.race.plan import OURS, Plan, Workload
from benchmarks.race.results import Record, Results

_COLUMNS = 3


@house_style()
def draw_curves(plan: Plan, results: Results, workloads: list[Workload], out: Path) -> None:
    """Draw held-out losses over seconds: ours at every horizon, the best trial of each baseline."""
    rows = math.ceil(len(workloads) / _COLUMNS)
    figure = Figure(figsize=(4.2 * min(len(workloads), _COLUMNS), 3.4 * rows), layout="constrained")
    panels = list(figure.subplots(rows, min(len(workloads), _COLUMNS), squeeze=False).flat)
    seen: dict[str, Any] = {}
    for axes, workload in zip(panels, workloads, strict=False):
        losses = _curves(axes, plan, results, workload)
        seen |= {line.get_label(): line for line in axes.get_lines()}
        axes.set(title=workload.label, xlabel="seconds of training", ylabel=CROSS_ENTROPY.axis)
        if losses:
            axes.set_ylim(min(losses) * 0.97, min(max(losses), min(losses) * 1.6))
    for axes in panels[len(workloads) :]:
        axes.set_axis_off()
    lines = {label: line for label, line in seen.items() if not str(label).startswith("_")}
    figure.legend(lines.values(), lines, loc="outside lower center", ncols=5, frameon=False)
    save_picture(figure, out)


def _curves(axes: Axes, plan: Plan, results: Results, workload: Workload) -> list[float]:
    """Draw a workload's curves of the first study that has runs; return the losses after 10 %."""
    shown: list[float] = []
    for place, method in enumerate((OURS, *plan.methods)):
        for seed in plan.studies:
            found = finished(results, trials_of(plan, workload, method, seed))
            if not found:
                continue
            records = [r for _, r in found] if method == OURS else [best_of(found)[1]]
            for number, record in enumerate(records):
                label = plan.label(method) if number == 0 else "_nolegend_"
                shown += _curve(axes, record, label, COLOURS[place % len(COLOURS)], workload)
            break
    return shown


def _curve(axes: Axes, record: Record, label: str, colour: str, workload: Workload) -> list[float]:
    looks = [(k["seconds"], k["heldout_loss"]) for k in record["looks"] if k["heldout_loss"]]
    times, losses = [s for s, _ in looks], [loss for _, loss in looks]
    axes.plot(times, losses, label=label, color=colour, linewidth=1.4, marker="o", markersize=2.5)
    return [loss for seconds, loss in looks if seconds > 0.1 * workload.seconds]


@house_style()
def draw_profile(plan: Plan, ratios: dict[str, list[float]], out: Path) -> None:
    """Draw the share of workloads and studies that a method solves within a factor of time."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    known = [r for values in ratios.values() for r in values if math.isfinite(r)]
    right = max([2.0, *known]) * 1.1
    for place, method in enumerate((OURS, *plan.methods)):
        values = sorted(ratios.get(method, []))
        if not values:
            continue
        finite = [value for value in values if math.isfinite(value)]
        heights = [(n + 1) / len(values) for n in range(len(finite))]
        axes.step(
            [1.0, *finite, right],
            [0.0, *heights, heights[-1] if heights else 0.0],
            where="post",
            label=plan.label(method),
            color=COLOURS[place % len(COLOURS)],
        )
    axes.set_xscale("log")
    axes.set(
        xlabel="time to the target over the fastest method's",
        ylabel="share of workloads and studies",
        xlim=(1.0, right),
        ylim=(0.0, 1.05),
    )
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    axes.legend()
    save_picture(figure, out)


@house_style()
def draw_steps(plan: Plan, table: dict[str, Any], out: Path) -> None:
    """Draw steps to the target over frames of a minibatch."""
    figure = Figure(figsize=(4.6 * len(table), 3.8), layout="constrained")
    for axes, (name, rows) in zip(
        figure.subplots(1, len(table), squeeze=False).flat, table.items(), strict=True
    ):
        for place, (method, sizes) in enumerate(rows.items()):
            known = [(int(b), size["steps"]) for b, size in sizes.items() if size["steps"]]
            axes.loglog(
                [batch for batch, _ in known],
                [steps for _, steps in known],
                marker="o",
                label=plan.label(method),
                color=COLOURS[place % len(COLOURS)],
            )
        axes.set(
            title=plan.workloads[name].label,
            xlabel="frames of a minibatch",
            ylabel="steps to the target",
        )
        axes.set_xticks([int(batch) for batch in next(iter(rows.values()))])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        if any(len(line.get_ydata()) for line in axes.get_lines()):
            label_log_axis(axes.yaxis)
        else:
            axes.set_yticks([])
            axes.set_yticks([], minor=True)
            axes.text(0.5, 0.5, "no run reached the target", transform=axes.transAxes, ha="center")
        axes.legend()
    save_picture(figure, out)
