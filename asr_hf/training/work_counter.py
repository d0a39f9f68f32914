"""What an objective has computed so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from asr_hf.hf.objective import Objective


class WorkCounter:
    """Counts the frames that went through the network, by kind of pass."""

    def __init__(self) -> None:
        self.frames = {"gradient": 0, "curvature": 0, "loss": 0}

    @property
    def work(self) -> float:
        """Units of work done: gradient frame 3, curvature frame 4, loss frame 1."""
        return float(
            3 * self.frames["gradient"] + 4 * self.frames["curvature"] + self.frames["loss"]
        )

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Leave what the block computes out of the work counters (reports, not training)."""
        before = dict(self.frames)
        try:
            yield
        finally:
            self.frames.update(before)


class CountedObjective(Objective, Protocol):
    """An objective that counts its work."""

    frames: dict[str, int]

    @property
    def work(self) -> float:
        """See `WorkCounter`."""
        ...

    def uncounted(self) -> AbstractContextManager[None]:
        """See `WorkCounter`."""
        ...
