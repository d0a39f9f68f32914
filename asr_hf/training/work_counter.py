"""Counts what an objective has computed so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from asr_hf.hf.objective import Objective


class WorkCounter:
    """Counts the frames that went through the network.

    Attributes:
        frames_by_pass: number of frames of each kind of pass: gradient, curvature, loss.
    """

    def __init__(self) -> None:
        self.frames_by_pass = {"gradient": 0, "curvature": 0, "loss": 0}

    @property
    def work(self) -> float:
        """Units of work done: a gradient frame is 3, a curvature frame 4, a loss frame 1."""
        frames = self.frames_by_pass
        return float(3 * frames["gradient"] + 4 * frames["curvature"] + frames["loss"])

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Leave the work of the block out of the counts (reports, not training)."""
        before = dict(self.frames_by_pass)
        try:
            yield
        finally:
            self.frames_by_pass.update(before)


class CountedObjective(Objective, Protocol):
    """An objective that counts its work."""

    frames_by_pass: dict[str, int]

    @property
    def work(self) -> float:
        """See `WorkCounter`."""
        ...

    def uncounted(self) -> AbstractContextManager[None]:
        """See `WorkCounter`."""
        ...
