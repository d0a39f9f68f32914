"""Writes the check's figures as a page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.bars import percent, times
from benchmarks.gpu.steps import CUT, DONE
from benchmarks.report import LABELS, duration, table

_NONE = "–"
_MOST_NAMES = 10


def page(results: dict[str, Any]) -> str:
    """Write the page docs/gpu.md."""
    steps = results["steps"]
    parts = [_head(results), _outcomes(steps), _tests(steps)]
    parts += [_products(steps), _graphs(steps), _iterations(steps), _trainings(results)]
    return "\n".join(part for part in parts if part)


def _head(results: dict[str, Any]) -> str:
    machine = results["machine"]
    where = machine["gpu"] or f"{machine['cpu']} (no GPU: a trial of the check itself)"
    driver = f", driver {results['driver']}" if results["driver"] else ""
    quick = " Sizes are tiny." if results["quick"] else ""
    return (
        "# What does a GPU give?\n\n"
        "This page says how fast asr-hf is on an NVIDIA GPU. `make gpu-check` makes it "
        "([how to run it](speed.md#gpu)),\nand every figure is in "
        "[`benchmarks/results/gpu.json`](../benchmarks/results/gpu.json).\n\n"
        f"{where}{driver}; {machine['cpu']}, {machine['cores']} cores; torch {machine['torch']}, "
        f"CUDA {results['cuda']}; commit {results['commit']}; {results['seconds']:.0f} s in all."
        f"{quick}\n"
    )


def _outcomes(steps: list[dict[str, Any]]) -> str:
    rows = [
        (step["name"], step["what"], step["status"], f"{step['seconds']:.0f} s") for step in steps
    ]
    failures = [
        f"- **{step['name']}**: `{_last_line(step['error'])}`\n" for step in steps if step["error"]
    ]
    text = "## Steps\n\n" + table(("step", "shows", "ended", "took"), rows)
    return text + ("\nWhat failed:\n\n" + "".join(failures) if failures else "")


def _last_line(error: str) -> str:
    """Return the end of an error's text that a table's reader can do something with."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return lines[-1].replace("`", "'")[:300]


def _tests(steps: list[dict[str, Any]]) -> str:
    for figures in _of(steps, "tests"):
        named = ", ".join(figures["names"][:_MOST_NAMES])
        return (
            f"## Tests\n\n{figures['passed']} passed, {figures['failed']} failed, "
            f"{figures['skipped']} skipped{': ' + named if named else ''}.\n"
        )
    return ""


def _products(steps: list[dict[str, Any]]) -> str:
    rows, nets = [], set()
    for net, precision, record in _by_net(steps, "products"):
        nets.add(f"net {net}: {record['layers']}, {record['frames']} frames")
        for name in (name for name in LABELS if name in record["methods"]):
            method = record["methods"][name]
            peak = method.get("peak_bytes")
            rows.append(
                (
                    f"{net}, {precision}, {LABELS[name]}",
                    times(method["ratio_to_gradient"]["median"]),
                    percent(method["gemm_fraction"]["median"]),
                    duration(method["seconds"]["median"]),
                    _NONE if peak is None else f"{peak / 1e9:.1f} GB",
                )
            )
    if not rows:
        return ""
    heads = ("product", "gradients", "share of GEMM rate", "time", "memory")
    return "## Products\n\n" + "; ".join(sorted(nets)) + ".\n\n" + table(heads, rows)


def _graphs(steps: list[dict[str, Any]]) -> str:
    rows = [
        (
            f"{net}, {precision}, {frames} frames",
            duration(figures["launched_seconds"]["median"]),
            duration(figures["replayed_seconds"]["median"]),
            times(figures["launched_over_replayed"]["median"]),
            f"{figures['difference']:.1e}",
        )
        for net, precision, by_frames in _by_net(steps, "graphs")
        for frames, figures in by_frames.items()
    ]
    heads = ("product", "launched", "replayed", "faster", "relative difference")
    return "## CUDA graphs\n\n" + table(heads, rows) if rows else ""


def _iterations(steps: list[dict[str, Any]]) -> str:
    rows = []
    for net, precision, figures in _by_net(steps, "iteration"):
        busy = figures.get("gpu_busy_fraction")
        medians = {name: spread["median"] for name, spread in figures["seconds"].items()}
        rows.append(
            (
                f"{net}, {precision}",
                duration(medians["whole"]),
                percent(medians["products"] / medians["whole"]),
                percent(medians["gradient"] / medians["whole"]),
                percent(figures["overhead"]["median"]),
                _NONE if busy is None else percent(busy),
            )
        )
    heads = ("iteration", "time", "products", "gradient", "overhead", "GPU busy")
    return "## Whole iterations\n\n" + table(heads, rows) if rows else ""


def _trainings(results: dict[str, Any]) -> str:
    rows = []
    for step in results["steps"]:
        figures = step["figures"]
        if step["status"] not in (DONE, CUT) or "curve" not in figures:
            continue
        reached = figures["seconds_to_target"]
        rows.append(
            (
                f"`{step['name']}`" + (" (cut)" if step["status"] == CUT else ""),
                _NONE if reached is None else f"{reached:.1f} s",
                f"{figures['best_heldout_loss']:.3f}",
                f"{figures['seconds']:.1f} s",
                f"{figures['frames']['gradient'] / 1e6:.2f} M",
            )
        )
    if not rows:
        return ""
    heads = ("run", f"to {results['target']:g}", "best held-out loss", "training", "frames")
    return (
        "## Training\n\n"
        f"The data are {results['data']}, with one seed. Seconds are those of training, without "
        "looks at held-out data and without the start.\nA run that was cut has not taken its "
        "last, shortest steps.\n\n" + table(heads, rows)
    )


def _of(steps: list[dict[str, Any]], name: str) -> Iterable[dict[str, Any]]:
    return (step["figures"] for step in steps if step["name"] == name and step["figures"])


def _by_net(steps: list[dict[str, Any]], kind: str) -> Iterable[tuple[str, str, dict[str, Any]]]:
    for net in "AB":
        for figures in _of(steps, f"{kind}-{net}"):
            for precision, record in figures.items():
                yield net, precision, record
