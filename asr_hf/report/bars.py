"""Draws charts of stacked bars as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from statistics import fmean

from asr_hf.report.chart import (
    BOTTOM,
    HEIGHT,
    RIGHT,
    TOP,
    WIDTH,
    Axes,
    draw_crosses,
    frame,
    left_margin,
    svg,
)
from asr_hf.report.scale import Scale, fit, si

# More bars than that could not be told apart in a narrow window.
_MOST_BARS = 120
# Bars nearer to one another than that, in units of the drawing, have no gaps between them.
_NARROW = 6.0


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


def values_a_bar(count: int) -> int:
    """Return how many neighbouring values one bar shows the mean of.

    Args:
        count: number of values.
    """
    return max(1, math.ceil(count / _MOST_BARS))


def bar_chart(
    title: str,
    places: Sequence[float],
    layers: Sequence[Layer],
    axes: Axes,
    *,
    crosses: Sequence[float] = (),
) -> str:
    """Draw stacked bars, one a value or, of many, one for the mean of some neighbours.

    Args:
        title: title for screen readers.
        places: x of each value, rising.
        layers: layers of the bars, from the bottom up.
        axes: axes of the chart; the vertical one starts at zero.
        crosses: x of each value with a mark above its bar (rejected steps).

    Returns:
        The chart as SVG.
    """
    each = values_a_bar(len(places))
    groups = [range(n, min(n + each, len(places))) for n in range(0, len(places), each)]
    shown = [
        Layer(
            layer.name, layer.colour, [fmean(layer.heights[i] for i in group) for group in groups]
        )
        for layer in layers
    ]
    totals = [sum(layer.heights[n] for layer in shown) for n in range(len(groups))]
    first, last = (min(places), max(places)) if places else (0.0, 1.0)
    up = fit([0.0, *totals], HEIGHT - BOTTOM, TOP + 4, from_zero=True)
    across = Scale(first - 0.7, last + 0.7, left_margin(up), WIDTH - RIGHT)
    parts = frame(axes, across, up)
    for n, group in enumerate(groups):
        parts += _bar(shown, n, (places[group[0]], places[group[-1]]), across, up)
    heights = {places[i]: totals[n] for n, group in enumerate(groups) for i in group}
    parts += draw_crosses([(across(x), up(heights[x]) - 6) for x in crosses])
    return svg(title, parts)


def _bar(
    layers: Sequence[Layer], number: int, ends: tuple[float, float], across: Scale, up: Scale
) -> list[str]:
    """Draw one bar, which stands for the values from the first to the last of `ends`."""
    first, last = ends
    left, right = across(first - 0.5), across(last + 0.5)
    close = right - left < _NARROW
    gap = 0.0 if close else 0.1 * (right - left)
    left, right = round(left + gap, 1), round(right - gap, 1)
    # Without gaps the edges of neighbours must be the same line of pixels.
    kind = " close" if close else ""
    said = f"{first:g}" if first == last else f"mean of {first:g} to {last:g}"
    parts, base = [], 0.0
    for layer in layers:
        height = layer.heights[number]
        if height <= 0:
            continue
        bottom, top = up(base), up(base + height)
        base += height
        parts.append(
            f'<rect class="{layer.colour}{kind}" x="{left:.1f}" y="{top:.1f}" '
            f'width="{right - left:.1f}" height="{bottom - top:.1f}">'
            f"<title>{escape(layer.name)}: {si(height)} ({said})</title></rect>"
        )
    return parts
