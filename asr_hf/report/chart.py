"""Draws charts as inline SVG, with colours from the page's style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from asr_hf.report.scale import Scale, fit, si

WIDTH, HEIGHT = 480, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 24, 38
_MARKED_POINTS = 80


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
class Layer:
    """One layer of stacked bars.

    Args:
        name: name in the legend.
        colour: class in the style sheet.
        heights: height in each bar; 0 in bars that lack the layer.
    """

    name: str
    colour: str
    heights: Sequence[float]


@dataclass(frozen=True)
class Axes:
    """The axes of a chart.

    Args:
        x_label: label of the horizontal axis, with the unit.
        y_label: label of the vertical axis, with the unit.
        log_x: whether the horizontal axis is logarithmic; it starts at zero where not.
        log_y: whether the vertical axis is logarithmic.
        from_zero: whether the vertical axis starts at zero.
        guides: value and text of each horizontal reference line.
        top: largest value shown, above which curves are cut off; None for no limit.
    """

    x_label: str
    y_label: str
    log_x: bool = False
    log_y: bool = False
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
    if axes.log_x:
        across = fit(xs, _LEFT, WIDTH - _RIGHT, logarithmic=True)
    else:
        across = fit([0.0, *xs], _LEFT, WIDTH - _RIGHT, from_zero=True)
    up = fit(ys, HEIGHT - _BOTTOM, _TOP, logarithmic=axes.log_y, from_zero=axes.from_zero)
    parts = _frame(axes, across, up)
    parts += _clipped([part for line in lines for part in _draw_line(line, across, up)])
    parts += [_cross(across(x), HEIGHT - _BOTTOM - 6) for x in crosses]
    parts += [
        f'<text class="guide" x="{WIDTH - _RIGHT}" y="{up(value) - 4:.1f}">{escape(text)}</text>'
        for value, text in axes.guides
    ]
    if highlight is not None:
        x, y = across(highlight[0]), up(highlight[1])
        side = "end" if x > WIDTH * 0.6 else "start"
        parts.append(f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        parts.append(
            f'<text class="value" x="{x:.1f}" y="{y - 11:.1f}" text-anchor="{side}">'
            f"{highlight[1]:.4g}</text>"
        )
    return _svg(title, parts)


def bar_chart(
    title: str,
    bars: Sequence[float],
    layers: Sequence[Layer],
    axes: Axes,
    *,
    crosses: Sequence[float] = (),
) -> str:
    """Draw stacked bars.

    Args:
        title: title for screen readers.
        bars: x of each bar, rising.
        layers: layers of the bars, from the bottom up.
        axes: axes of the chart; the vertical one starts at zero.
        crosses: x of each bar with a mark above it (rejected steps).

    Returns:
        The chart as SVG.
    """
    totals = [sum(layer.heights[i] for layer in layers) for i in range(len(bars))]
    first, last = (min(bars), max(bars)) if bars else (0.0, 1.0)
    across = Scale(first - 0.7, last + 0.7, _LEFT, WIDTH - _RIGHT)
    up = fit([0.0, *totals], HEIGHT - _BOTTOM, _TOP + 4, from_zero=True)
    width = max(0.5, 0.8 * (across(1.0) - across(0.0)))
    parts = _frame(axes, across, up, whole=True)
    base = [0.0] * len(bars)
    for layer in layers:
        for i, (x, height) in enumerate(zip(bars, layer.heights, strict=True)):
            if height <= 0:
                continue
            bottom, top = up(base[i]), up(base[i] + height)
            base[i] += height
            parts.append(
                f'<rect class="{layer.colour}" x="{across(x) - width / 2:.1f}" y="{top:.1f}" '
                f'width="{width:.1f}" height="{bottom - top:.1f}">'
                f"<title>{escape(layer.name)}: {si(height)} ({x:g})</title></rect>"
            )
    heights = dict(zip(bars, totals, strict=True))
    parts += [_cross(across(x), up(heights[x]) - 6) for x in crosses]
    return _svg(title, parts)


def _svg(title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )


def _frame(axes: Axes, across: Scale, up: Scale, *, whole: bool = False) -> list[str]:
    """Draw grid, ticks, labels and guide lines."""
    parts = []
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    for value in up.ticks():
        y = up(value)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text class="y" x="{_LEFT - 6}" y="{y + 4:.1f}">{_tick(value)}</text>')
    for value in across.ticks(6):
        if whole and value != round(value):
            continue
        parts.append(
            f'<text class="x" x="{across(value):.1f}" y="{bottom + 16}">{_tick(value)}</text>'
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {bottom}H{right}"/>')
    for value, _ in axes.guides:
        parts.append(f'<path class="guide" d="M{_LEFT} {up(value):.1f}H{right}"/>')
    parts.append(f'<text class="label" x="4" y="12">{escape(axes.y_label)}</text>')
    parts.append(
        f'<text class="label end" x="{right}" y="{HEIGHT - 5}">{escape(axes.x_label)}</text>'
    )
    return parts


def _clipped(parts: Sequence[str]) -> list[str]:
    """Cut off what lies above the plot, by a nested drawing, which hides what leaves it."""
    height = HEIGHT - _TOP - _BOTTOM
    return [
        f'<svg y="{_TOP}" width="{WIDTH}" height="{height}" viewBox="0 {_TOP} {WIDTH} {height}">',
        *parts,
        "</svg>",
    ]


def _tick(value: float) -> str:
    return "0" if abs(value) < 1e-12 else si(round(value, 10))


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
    parts = [f'<path class="line {line.colour}" d="{"".join(commands)}"/>']
    if len(placed) <= _MARKED_POINTS:
        parts += [
            f'<circle class="{line.colour}" cx="{px:.1f}" cy="{py:.1f}" r="2.4">'
            f"<title>{escape(line.name)}: {y:.4g} ({si(x)})</title></circle>"
            for x, y, px, py in placed
        ]
    return parts


def _cross(x: float, y: float) -> str:
    return (
        f'<path class="cross" d="M{x - 3.2:.1f} {y - 3.2:.1f}l6.4 6.4m0 -6.4l-6.4 6.4">'
        "<title>step rejected</title></path>"
    )
