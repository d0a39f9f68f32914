"""The bounds that the figures are held to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Methods that the products have to beat in speed and memory.
BEATEN = ("curvlinops", "backpack", "jvp_vjp")


@dataclass(frozen=True)
class Bar:
    """A figure and its bound.

    Args:
        what: name of the figure.
        value: measured value.
        bound: bound on the value.
        least: whether the bound is the least value; otherwise it is the greatest.
        text: function that formats value and bound.
    """

    what: str
    value: float
    bound: float
    least: bool
    text: Callable[[float], str]

    @property
    def met(self) -> bool:
        """Whether the value keeps to the bound."""
        return self.value >= self.bound if self.least else self.value <= self.bound


def times(value: float) -> str:
    """Format a ratio, for example 1.28×."""
    return f"{value:.2f}×"


def percent(value: float) -> str:
    """Format a share, for example 4.1 %."""
    return f"{100 * value:.1f} %"


def cpu_bars(net: dict[str, Any]) -> list[Bar]:
    """Bound the figures of a net in float32 on the CPU."""
    bars = [
        Bar("product over gradient", net["ratio_to_gradient"], 1.35, False, times),
        Bar("share of the GEMM rate", net["gemm_fraction"], 0.85, True, percent),
        Bar("any-module path over DNN path", net["generic_over_dnn"], 1.1, False, times),
    ]
    for name in BEATEN:
        bars.append(Bar(f"faster than {name}", net["speedup_over"][name], 1.5, True, times))
    ours = net["methods"]["r_operator"]["peak_bytes"]
    for name in BEATEN:
        share = ours / net["methods"][name]["peak_bytes"]
        bars.append(Bar(f"memory over that of {name}", share, 1.0, False, percent))
    # With fewer pairs the gain is smaller; the bar is for 64.
    if net["lbfgs"]["pairs"] == 64:
        speedup = net["lbfgs_compact_speedup"]
        bars.append(Bar("two-loop over compact L-BFGS, m = 64", speedup, 1.5, True, times))
    bars.append(Bar("overhead of an iteration", net["overhead_fraction"], 0.05, False, percent))
    return bars


def gpu_bars(net: dict[str, Any]) -> list[Bar]:
    """Bound the figures of a net in one reduced precision on a GPU."""
    bars = [
        Bar("product over gradient", net["ratio_to_gradient"], 1.4, False, times),
        Bar("share of the matrix rate", net["square_gemm_fraction"], 0.6, True, percent),
    ]
    if "iteration" in net:
        busy = net["iteration"]["gpu_busy_fraction"]
        bars.append(Bar("GPU busy in an iteration", busy, 0.9, True, percent))
    return bars
