"""An annealing that begins by itself once training gains little."""

from __future__ import annotations

from typing import Any


class SelfStarting:
    """Whole steps until the training loss hardly falls, then steps that shrink to nothing.

    At the share p of the run, the mean loss over (3p/4, p] is compared with that over (p/2, 3p/4].
    Both windows grow with the run, so that the rule knows no time scale. Where the gain is below
    `gain`, steps shrink linearly from p to p (1 + tail), and there the run ends.

    Args:
        gain: the relative fall of the loss below which steps begin to shrink.
        tail: length of the shrinking, as a multiple of the run before it.
        least: share of the run before which nothing begins.
    """

    def __init__(self, gain: float = 0.03, tail: float = 0.5, least: float = 0.02) -> None:
        if not (0 < gain < 1 and tail > 0 and 0 <= least < 1):
            raise ValueError("annealing: needs 0 < gain < 1, tail > 0 and 0 <= least < 1")
        self.gain, self.tail, self.least = gain, tail, least
        self._losses: list[tuple[float, float]] = []
        self.start: float | None = None

    def factor(self, progress: float) -> float:
        """See `Annealing`."""
        if self.start is None:
            return 1.0
        return max(0.0, 1.0 - (progress - self.start) / (self.tail * self.start))

    def finished(self, progress: float) -> bool:
        """See `Annealing`."""
        return self.factor(progress) == 0.0

    def observe(self, progress: float, loss: float) -> None:
        """See `Annealing`."""
        if self.start is not None:
            return
        self._losses.append((progress, loss))
        before, after = self._window(progress, 0.5, 0.75), self._window(progress, 0.75, 1.0)
        if before is None or after is None or progress < self.least:
            return
        if after > (1.0 - self.gain) * before:
            self.start, self._losses = progress, []

    def _window(self, progress: float, first: float, last: float) -> float | None:
        """Return the mean loss over a part of the run so far; None where there are too few."""
        losses = [x for p, x in self._losses if first * progress < p <= last * progress]
        return sum(losses) / len(losses) if len(losses) >= 3 else None

    def state_dict(self) -> dict[str, Any]:
        """Return where steps began to shrink, and the losses up to there."""
        return {"start": self.start, "losses": [list(x) for x in self._losses]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.start = state["start"]
        self._losses = [(float(p), float(x)) for p, x in state["losses"]]
