"""Wall-clock time: of each phase of the work, and of all that is done so far."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Adds up the wall-clock seconds of `with` blocks, and can be read inside of one.

    Args:
        seconds: wall-clock seconds counted before.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._before, self._started = seconds, math.nan

    @property
    def seconds(self) -> float:
        """Wall-clock seconds counted so far, those of a block under way included."""
        running = not math.isnan(self._started)
        return self._before + (time.perf_counter() - self._started if running else 0.0)

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._before, self._started = self.seconds, math.nan


class PhaseClock:
    """Adds up the wall-clock seconds of each phase; waits for the device at the end of a phase.

    Args:
        device: device whose queued work counts for the phase that has queued it.

    Attributes:
        seconds: wall-clock seconds of each phase, by its name.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of the block for the phase `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
