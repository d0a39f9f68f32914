"""Draws charts as inline SVG, with colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from asr_hf.report.scale import Scale, fit, si, tick_labels

WIDTH, HEIGHT = 480, 254
# Margins of the plot, with room for labels as large as in a narrow window.
RIGHT, TOP, BOTTOM = 26, 28, 38
# Curves of more points have none marked, and of many more a finer line.
_MARKED_POINTS, _FINE_POINTS = 80, 200
_MOST_TICKS = 7
# Room for a character of a label where labels are largest, and half the size of a cross.
_CHARACTER, _CROSS = 9.6, 3.2


@dataclass(frozen=True)
class Line:
    """One curve.

    Args:
        name: name in the legend.
        colour: class in the style sheet, or several; d1, d2 and d3 are ways to dash a line.
        points: points (x, y) in their order; a y of None breaks the line.
    """

    name: str
    colour: str
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Axes:
    """The axes of a chart.

    Args:
        x_label: label of the horizontal axis, with the unit.
        y_label: label of the vertical axis, with the unit.
        log_x: whether the horizontal axis is logarithmic; it starts at zero where not.
        log_y: whether the vertical axis is logarithmic.
        whole: whether the horizontal axis counts, so that ticks are whole numbers.
        whole_y: whether the vertical one does.
        from_zero: whether the vertical axis starts at zero.
        guides: value and short text of each horizontal reference line.
        top: largest value shown, above which curves are cut off; None for no limit.
    """

    x_label: str
    y_label: str
    log_x: bool = False
    log_y: bool = False
    whole: bool = False
    whole_y: bool = False
    from_zero: bool = False
    guides: Sequence[tuple[float, str]] = field(default=())
    top: float | None = None


def line_chart(
    title: str,
    lines: Sequence[Line],
    axes: Axes,
    *,
    crosses: Sequence[float] = (),
    highlight: tuple[float, float] | None = None,
) -> str:
    """Draw curves.

    Args:
        title: title for screen readers.
        lines: curves.
        axes: axes of the chart.
        crosses: x of each mark at the bottom edge (rejected steps).
        highlight: point with a ring and its value; None for none.

    Returns:
        The chart as SVG.
    """
    xs = [x for line in lines for x, y in line.points if y is not None]
    ys = [y for line in lines for _, y in line.points if y is not None]
    ys += [value for value, _ in axes.guides]
    if axes.top is not None:
        ys = [min(y, axes.top) for y in ys]
    up = fit(ys, HEIGHT - BOTTOM, TOP, logarithmic=axes.log_y, from_zero=axes.from_zero)
    left = left_margin(up)
    if axes.log_x:
        across = fit(xs, left, WIDTH - RIGHT, logarithmic=True)
    else:
        across = fit([0.0, *xs], left, WIDTH - RIGHT, from_zero=True)
    parts = frame(axes, across, up)
    parts += _clipped([part for line in lines for part in _draw_line(line, across, up)])
    parts += draw_crosses([(across(x), HEIGHT - BOTTOM - 6.0) for x in crosses])
    if highlight is not None:
        x, y = across(highlight[0]), up(highlight[1])
        side = "end" if x > WIDTH * 0.6 else "start"
        parts.append(f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        parts.append(
            f'<text class="value" x="{x:.1f}" y="{y - 11:.1f}" text-anchor="{side}">'
            f"{highlight[1]:.4g}</text>"
        )
    return svg(title, parts)


def svg(title: str, parts: Sequence[str]) -> str:
    """Join the parts of a chart."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )


def left_margin(up: Scale) -> float:
    """Return how far from the left edge a plot begins, so that its vertical labels have room."""
    return 8 + _CHARACTER * max(4, *map(len, tick_labels(up.ticks())))


def frame(axes: Axes, across: Scale, up: Scale) -> list[str]:
    """Draw grid, ticks, labels and guide lines."""
    parts = []
    left, right, bottom = f"{across.start:.1f}", WIDTH - RIGHT, HEIGHT - BOTTOM
    levels = up.ticks(whole=axes.whole_y)
    for value, text in zip(levels, tick_labels(levels), strict=True):
        y = up(value)
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{right}"/>')
        parts.append(f'<text class="y" x="{across.start - 6:.1f}" y="{y + 4:.1f}">{text}</text>')
    for value, text in _ticks_that_fit(across, whole=axes.whole):
        parts.append(f'<text class="x" x="{across(value):.1f}" y="{bottom + 16}">{text}</text>')
    parts.append(f'<path class="axis" d="M{left} {bottom}H{right}"/>')
    for value, text in axes.guides:
        y = up(value)
        parts.append(f'<path class="guide" d="M{left} {y:.1f}H{right}"/>')
        parts.append(f'<text class="guide" x="{right + 4}" y="{y + 4:.1f}">{escape(text)}</text>')
    parts.append(f'<text class="label" x="4" y="15">{escape(axes.y_label)}</text>')
    parts.append(
        f'<text class="label end" x="{right}" y="{HEIGHT - 5}">{escape(axes.x_label)}</text>'
    )
    return parts


def _clipped(parts: Sequence[str]) -> list[str]:
    """Cut off what lies above the plot, by a nested drawing, which hides what leaves it."""
    height = HEIGHT - TOP - BOTTOM
    return [
        f'<svg y="{TOP}" width="{WIDTH}" height="{height}" viewBox="0 {TOP} {WIDTH} {height}">',
        *parts,
        "</svg>",
    ]


def _ticks_that_fit(across: Scale, *, whole: bool) -> list[tuple[float, str]]:
    """Return ticks with their labels, as many as have room beside one another."""
    placed: list[tuple[float, str]] = []
    for count in range(_MOST_TICKS, 0, -1):
        values = across.ticks(count, whole=whole)
        placed = list(zip(values, tick_labels(values), strict=True))
        if _apart(placed, across) == placed:
            return placed
    return _apart(placed, across)


def _apart(ticks: Sequence[tuple[float, str]], across: Scale) -> list[tuple[float, str]]:
    """Return the ticks whose labels do not touch the one before."""
    kept: list[tuple[float, str]] = []
    end = -math.inf
    for value, text in ticks:
        half = _CHARACTER * len(text) / 2
        if across(value) - half >= end:
            kept.append((value, text))
            end = across(value) + half + _CHARACTER
    return kept


def _draw_line(line: Line, across: Scale, up: Scale) -> list[str]:
    placed = [
        (x, y, across(x), up(y))
        for x, y in line.points
        if y is not None and (y > 0 or not up.logarithmic) and (x > 0 or not across.logarithmic)
    ]
    known = {x for x, *_ in placed}
    commands, pen_down = [], False
    for x, y in line.points:
        if x not in known or y is None:
            pen_down = False
            continue
        commands.append(f"{'L' if pen_down else 'M'}{across(x):.1f} {up(y):.1f}")
        pen_down = True
    kind = f"line{' fine' if len(placed) > _FINE_POINTS else ''} {line.colour}"
    parts = [f'<path class="{kind}" d="{"".join(commands)}"/>']
    if len(placed) <= _MARKED_POINTS:
        parts += [
            f'<circle class="{line.colour}" cx="{px:.1f}" cy="{py:.1f}" r="2.4">'
            f"<title>{escape(line.name)}: {y:.4g} ({si(x)})</title></circle>"
            for x, y, px, py in placed
        ]
    return parts


def draw_crosses(places: Sequence[tuple[float, float]]) -> list[str]:
    """Draw marks of rejected steps; one stands for all that would run into one another.

    Args:
        places: position (x, y) of each rejected step, from the left.

    Returns:
        The marks as SVG.
    """
    marks: list[tuple[float, float, int]] = []
    for x, y in places:
        if marks and x - marks[-1][0] < 2.5 * _CROSS:
            left, higher, count = marks[-1]
            marks[-1] = (left, min(y, higher), count + 1)
        else:
            marks.append((x, y, 1))
    size = 2 * _CROSS
    return [
        f'<path class="cross" d="M{x - _CROSS:.1f} {y - _CROSS:.1f}'
        f'l{size} {size}m0 -{size}l-{size} {size}">'
        f"<title>{f'{count} steps' if count > 1 else 'step'} rejected</title></path>"
        for x, y, count in marks
    ]
