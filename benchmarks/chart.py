"""Draws the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asr_hf.report.picture_style import COLOURS, house_style, save_picture
from benchmarks.methods import OURS
from benchmarks.report import LABELS

_OURS, _BOUND, *_, _SPREAD, _THEIRS = COLOURS


def draw(results: dict[str, Any], out: Path) -> None:
    """Draw each net's methods by cost and by memory into an SVG file."""
    nets = _nets(results)
    with house_style():
        figure = Figure(figsize=(10, 2.9 * len(nets)), layout="constrained")
        rows = figure.subplots(len(nets), 2, squeeze=False)
        for (time, memory), (title, net) in zip(rows, nets.items(), strict=True):
            names = [name for name in reversed(LABELS) if name in net["methods"]]
            _cost(time, title, net, names)
            _memory(memory, net, names)
        save_picture(figure, out)


def _nets(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    nets = {f"net {name}, CPU": net for name, net in results.get("nets", {}).items()}
    if isinstance(results["gpu"], dict):
        for name, precisions in results["gpu"]["nets"].items():
            nets |= {f"net {name}, GPU, {p}": net for p, net in precisions.items()}
    return nets


def _cost(axes: Axes, title: str, net: dict[str, Any], names: list[str]) -> None:
    spreads = [net["methods"][name]["ratio_to_gradient"] for name in names]
    medians = [s["median"] for s in spreads]
    below = [s["median"] - s["q1"] for s in spreads]
    above = [s["q3"] - s["median"] for s in spreads]
    axes.barh(_labels(names), medians, xerr=(below, above), color=_colours(names), ecolor=_SPREAD)
    axes.axvline(net["flop_bound"], color=_BOUND, linestyle="--", linewidth=1)
    axes.annotate(
        "FLOPs alone",
        (net["flop_bound"], 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(3, -10),
        textcoords="offset points",
        fontsize=8,
    )
    axes.set_title(f"{title}: {net['layers']}, {net['frames']} frames")
    axes.set_xlabel("time of a product / time of a gradient")


def _memory(axes: Axes, net: dict[str, Any], names: list[str]) -> None:
    peaks = [net["methods"][name]["peak_bytes"] / 1e6 for name in names]
    axes.barh(_labels(names), peaks, color=_colours(names))
    axes.set_yticklabels([])
    axes.set_xlabel("memory beyond the network and its inputs (MB)")


def _labels(names: list[str]) -> list[str]:
    return [LABELS[name].replace("**", "") for name in names]


def _colours(names: list[str]) -> list[str]:
    return [_OURS if name in OURS else _THEIRS for name in names]
