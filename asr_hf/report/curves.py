"""Draws the figures of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from asr_hf.report.bars import Layer, bar_chart, values_a_bar
from asr_hf.report.chart import Axes, Line, line_chart
from asr_hf.report.losses import loss_of
from asr_hf.report.run_data import Event, RunData, number
from asr_hf.report.scale import time_unit, top_of_start

WORK = "work (gradient frame 3, curvature frame 4, loss frame 1)"
ITERATION = "outer iteration"

_REASONS = {
    "progress": ("progress became small", "c7"),
    "residual": ("residual small", "c1"),
    "max_iterations": ("most iterations allowed", "c3"),
    "steps": ("the fixed number done", "c2"),
    "non_positive_curvature": ("curvature not positive", "c5"),
    "non_positive_preconditioner": ("preconditioner not positive", "c4"),
    "non_finite": ("not finite", "c6"),
}
_PHASES = {
    "training": ("minibatch steps", "c1"),
    "gradient": ("gradient", "c1"),
    "curvature": ("curvature and CG", "c2"),
    "backtrack": ("backtracking", "c3"),
    "line_search": ("line search", "c4"),
    "heldout": ("held-out loss", "c6"),
}
_SPARE = "c5"


@dataclass(frozen=True)
class Figure:
    """A chart with its title, a sentence on how to read it, and its legend.

    Args:
        title: title of the figure.
        note: explanation of the figure.
        svg: chart as SVG.
        legend: colour class and name of each entry.
    """

    title: str
    note: str
    svg: str
    legend: Sequence[tuple[str, str]] = field(default=())


def figures(run: RunData) -> list[Figure]:
    """Return all figures for which the run has data."""
    steps = run.steps
    if not steps:
        return []
    drawn = [_loss(run, "work"), _loss(run, "seconds"), _frame_error(run)]
    if any("cg_iterations" in event for event in steps):
        drawn += [_cg(steps), _damping(steps), _ratio(steps), _samples(steps)]
    if any(number(event, "learning_rate") is not None for event in steps):
        drawn.append(_learning_rate(steps))
    if any(event.get("phase_seconds") for event in steps):
        drawn.append(_phases(steps))
    return drawn


def _loss(run: RunData, against: str) -> Figure:
    scale, label = 1.0, WORK
    if against == "seconds":
        scale, label = time_unit(run.figure("seconds") or 0.0)
        label = f"training time ({label})"
    # The Hessian-free optimiser computes its training loss before a step, the others during steps.
    trained = "training sample, before the step" if run.optimiser == "hf" else "training"
    lines = [
        Line(trained, "c2", _points(run.events, against, "train_loss", scale)),
        Line("held out", "c1", _points(run.events, against, "heldout_loss", scale)),
    ]
    best = run.best
    ring = None
    if best is not None and number(best, against) is not None:
        ring = (float(best[against]) / scale, float(best["heldout_loss"]))
    title = "Loss against " + ("work" if against == "work" else "time")
    top, cut_note = _top(lines)
    axes = Axes(label, loss_of(run.config).axis, top=top)
    svg = line_chart(title, lines, axes, highlight=ring)
    note = "The ring marks the parameters that were kept: the lowest held-out loss."
    if against == "seconds":
        note = "Time spent on training itself; computing these held-out losses is not in it."
    note += cut_note
    return Figure(title, note, svg, _legend(lines))


def _frame_error(run: RunData) -> Figure:
    points = [
        (x, None if y is None else 100 * y)
        for x, y in _points(run.events, "work", "heldout_frame_error")
    ]
    line = Line("held out", "c1", points)
    title = "Frame error against work"
    top, cut_note = _top([line])
    svg = line_chart(title, [line], Axes(WORK, "% of frames", top=top))
    note = "Held-out frames whose most likely pdf is not the aligned one."
    return Figure(title, note + cut_note, svg)


def _cg(steps: list[Event]) -> Figure:
    reasons = list(dict.fromkeys(str(event.get("cg_reason")) for event in steps))
    reasons.sort(key=lambda reason: list(_REASONS).index(reason) if reason in _REASONS else 99)
    layers = []
    for reason in reasons:
        name, colour = _REASONS.get(reason, (reason, _SPARE))
        heights = [
            (number(event, "cg_iterations") or 0.0) if str(event.get("cg_reason")) == reason else 0
            for event in steps
        ]
        layers.append(Layer(name, colour, heights))
    rejected = _rejected(steps)
    title = "CG iterations"
    axes = Axes(ITERATION, "CG iterations", whole=True, whole_y=True)
    svg = bar_chart(title, _iterations(steps), layers, axes, crosses=rejected)
    note = "One bar an outer iteration, coloured by why CG stopped."
    if (each := values_a_bar(len(steps))) > 1:
        note = f"A bar is the mean of {each} outer iterations. "
        note += "The part of a colour comes from those where CG stopped for that reason."
    note += _rejection_note(rejected)
    return Figure(title, note, svg, [(layer.colour, layer.name) for layer in layers])


def _damping(steps: list[Event]) -> Figure:
    line = Line("λ", "c4", _points(steps, "iteration", "lambda"))
    svg = line_chart("Damping", [line], Axes(ITERATION, "λ", log_y=True, whole=True))
    note = "λ falls while the quadratic model predicts well, and rises when it does not."
    return Figure("Damping", note, svg)


def _ratio(steps: list[Event]) -> Figure:
    line = Line("ρ", "c3", _points(steps, "iteration", "rho"))
    rejected = _rejected(steps)
    axes = Axes(ITERATION, "ρ", whole=True, guides=((0.25, "¼"), (0.75, "¾")))
    svg = line_chart("Reduction ratio", [line], axes, crosses=rejected)
    note = "Fall of the loss over the fall that the quadratic model promised. "
    note += "λ rises where this is below ¼, and falls where it is above ¾."
    return Figure("Reduction ratio", note + _rejection_note(rejected), svg)


def _samples(steps: list[Event]) -> Figure:
    lines = [
        Line("gradient", "c1", _points(steps, "iteration", "gradient_frames")),
        Line("curvature", "c2", _points(steps, "iteration", "curvature_frames")),
    ]
    axes = Axes(ITERATION, "frames", log_y=True, whole=True)
    svg = line_chart("Sample sizes", lines, axes)
    note = "Frames whose gradient was taken, and frames behind each curvature product."
    return Figure("Sample sizes", note, svg, _legend(lines))


def _learning_rate(steps: list[Event]) -> Figure:
    line = Line("learning rate", "c4", _points(steps, "iteration", "learning_rate"))
    rejected = _rejected(steps)
    axes = Axes("iteration", "learning rate", log_y=True, whole=True)
    svg = line_chart("Learning rate", [line], axes, crosses=rejected)
    note = "The rate in use at each held-out test." + _rejection_note(rejected, "iteration")
    return Figure("Learning rate", note, svg)


def _phases(steps: list[Event]) -> Figure:
    present = dict.fromkeys(name for event in steps for name in event.get("phase_seconds") or {})
    ordered = [name for name in _PHASES if name in present]
    ordered += [name for name in present if name not in _PHASES]
    layers = []
    for key in ordered:
        name, colour = _PHASES.get(key, (key.replace("_", " "), _SPARE))
        heights = [number(event.get("phase_seconds") or {}, key) or 0.0 for event in steps]
        layers.append(Layer(name, colour, heights))
    counted = ITERATION if any("lambda" in e for e in steps) else "iteration"
    axes = Axes(counted, "seconds an iteration", whole=True)
    svg = bar_chart("Seconds by phase", _iterations(steps), layers, axes)
    note = "Where the time of each iteration went."
    if (each := values_a_bar(len(steps))) > 1:
        note += f" A bar is the mean of {each} iterations."
    return Figure("Seconds by phase", note, svg, [(layer.colour, layer.name) for layer in layers])


def _top(lines: Sequence[Line]) -> tuple[float | None, str]:
    """Return the value above which a steep start is cut off (None for no cut), and a note on it."""
    curves = [[y for _, y in line.points if y is not None] for line in lines]
    top = top_of_start(curves)
    if top is None:
        return None, ""
    highest = max(max(values) for values in curves if values)
    return top, f" The start, at {highest:.4g}, lies above the frame."


def _points(
    events: list[Event], x: str, y: str, scale: float = 1.0
) -> list[tuple[float, float | None]]:
    """Return the point (x / scale, y) of each event that has x, and y even if it is no number."""
    return [
        (place / scale, number(event, y))
        for event in events
        # Between two looks at the held-out loss lie events without one.
        if y in event and (place := number(event, x)) is not None
    ]


def _iterations(steps: list[Event]) -> list[float]:
    return [float(event["iteration"]) for event in steps]


def _rejected(steps: list[Event]) -> list[float]:
    return [float(event["iteration"]) for event in steps if event.get("accepted") is False]


def _rejection_note(rejected: list[float], what: str = "step") -> str:
    return f" A cross marks a rejected {what}." if rejected else ""


def _legend(lines: Sequence[Line]) -> list[tuple[str, str]]:
    return [(line.colour, line.name) for line in reversed(lines)]
