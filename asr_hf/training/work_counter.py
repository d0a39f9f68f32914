"""Counts what an objective has computed so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from asr_hf.hf.objective import Objective


def work_of(gradient: int, curvature: int, loss: int) -> float:
    """Return units of work: a gradient frame is 3, a curvature frame 4, a loss frame 1."""
    return float(3 * gradient + 4 * curvature + loss)


class WorkCounter:
    """Counts the frames that went through the network.

    Attributes:
        frames_by_pass: number of frames of each kind of pass: gradient, curvature, loss.
    """

    def __init__(self) -> None:
        self.frames_by_pass = {"gradient": 0, "curvature": 0, "loss": 0}

    @property
    def work(self) -> float:
        """The work done so far, as `work_of` counts it."""
        return work_of(**self.frames_by_pass)

    def count(self, kind: str, num_frames: int) -> None:
        """Count the frames of a pass of a kind."""
        self.frames_by_pass[kind] += num_frames

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
