"""When a CG run has gone far enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RelativeProgress:
    """Martens' test on the quadratic's value (Martens 2010, section 4.4).

    Stop at iteration i > k when q(d_i) < 0 and (q(d_i) - q(d_{i-k})) / q(d_i) < k ε,
    with k = max(window, window_fraction · i).

    Args:
        tolerance: ε.
        window: smallest k.
        window_fraction: k as a share of the iterations done.
    """

    tolerance: float = 5e-4
    window: int = 10
    window_fraction: float = 0.1

    def reached(self, values: Sequence[float]) -> bool:
        """Whether q's values so far, starting with q(d0), show too little progress."""
        i = len(values) - 1
        k = max(self.window, int(self.window_fraction * i))
        if i <= k or not values[-1] < 0:
            return False
        return (values[-1] - values[-1 - k]) / values[-1] < k * self.tolerance


def stored_iterations(ratio: float, most: int) -> frozenset[int]:
    """Iterations ⌈ratio^j⌉ up to `most`, at which CG keeps its iterate (Martens 2010)."""
    kept, j = set(), 0
    while (step := _ceil(ratio**j)) <= most:
        kept.add(step)
        j += 1
    return frozenset(kept)


def _ceil(value: float) -> int:
    return int(-(-value // 1))
