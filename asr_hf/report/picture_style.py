"""Gives the pictures of Markdown pages one style, and those in SVG a dark variant."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from asr_hf.report.scale import si
from asr_hf.runtime.files import atomic_path, write_text

# The palette of Okabe & Ito, which people with colour blindness can tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222", "#8a8a8a")
STYLES = ("-", "--", ":", "-.")
_GRID = "#e4e4e0"
# What the colours become on a dark ground: lighter, and no two the same.
_DARK = {
    "#ffffff": "#1b1f23",
    "#000000": "#c6ccd2",
    _GRID: "#32383e",
    "#0072b2": "#4a9fe0",
    "#d55e00": "#f08a4b",
    "#009e73": "#2fc39a",
    "#cc79a7": "#e3a0c6",
    "#e69f00": "#f0c648",
    "#56b4e9": "#9fdcff",
    "#222222": "#e8eaec",
    "#8a8a8a": "#9aa3ab",
}
_RC: dict[Any, Any] = {
    # Text stays text, and the same picture has the same bytes.
    "svg.fonttype": "none",
    "svg.hashsalt": "asr-hf",
    "axes.prop_cycle": f"cycler('color', {list(COLOURS)})",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Make and save figures in the one style; a context, or a decorator of what draws."""
    with matplotlib.rc_context(_RC):
        yield


def label_log_axis(axis: Axis) -> None:
    """Put ticks at 1, 2 and 5 of each decade, with labels at decades alone where these are many."""

    def text(value: float, _: float) -> str:
        low, high = axis.get_view_interval()
        power = math.log10(value)
        if high > 100 * low and abs(power - round(power)) > 1e-6:
            return ""
        return si(value)

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(text)
    axis.set_minor_formatter(NullFormatter())


def save_picture(figure: Figure, out: Path) -> None:
    """Save a figure; the same figure gives the same bytes, and SVG has a dark variant.

    Args:
        figure: the figure.
        out: path of the picture; its suffix (.svg, .png, .pdf) gives the format.

    Raises:
        RunError: the picture cannot be written.
    """
    kind = out.suffix.lower().removeprefix(".")
    if kind == "svg":
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
        write_text(out, with_dark_variant(drawn.getvalue()))
        return
    metadata = {"CreationDate": None} if kind == "pdf" else {}
    with atomic_path(out) as temporary:
        figure.savefig(temporary, format=kind, dpi=160, metadata=metadata)


def with_dark_variant(svg: str) -> str:
    """Return a picture of matplotlib's that has other colours for readers who prefer dark pages.

    Args:
        svg: text of the picture.
    """
    rules = ["text { fill: #e8eaec }"]
    rules += [
        # Matplotlib writes colours into the elements, where only !important overrides them.
        f'[style*="{part}: {light}"] {{ {part}: {dark} !important }}'
        for light, dark in _DARK.items()
        for part in ("fill", "stroke")
    ]
    sheet = "@media (prefers-color-scheme: dark) {\n" + "\n".join(rules) + "\n}"
    return svg.replace("</style>", f"\n{sheet}\n</style>", 1)
