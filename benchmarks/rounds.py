"""Times tasks in interleaved rounds, so that disturbances affect all of them alike."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from tqdm import tqdm

from asr_hf.runtime.errors import RunError
from asr_hf.runtime.progress import progress

Task = Callable[[], object]

# A round is void where its GEMM rate is below this share of the median of the run.
LEAST_RATE = 0.9
_LEAST_SECONDS = 0.05


@dataclass(frozen=True)
class Round:
    """Seconds of one round.

    Args:
        seconds: seconds by task.
        reference: seconds of the GEMMs, before and after the tasks.
    """

    seconds: dict[str, float]
    reference: tuple[float, float]

    @property
    def gemm_seconds(self) -> float:
        """Mean seconds of the GEMMs."""
        return sum(self.reference) / 2


@dataclass(frozen=True)
class Spread:
    """A median with its quartiles."""

    median: float
    q1: float
    q3: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Compute the median and quartiles of at least one value.

        Returns:
            The spread.

        Raises:
            ValueError: there are no values.
        """
        if not values:
            raise ValueError("no values")
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, q1, q3)


def valid(rounds: Sequence[Round], least_rate: float = LEAST_RATE) -> list[bool]:
    """Decide which rounds count: those whose GEMMs were never much slower than the median."""
    if not rounds:
        return []
    median = statistics.median(seconds for r in rounds for seconds in r.reference)
    return [max(r.reference) * least_rate <= median for r in rounds]


@dataclass(frozen=True)
class Rounds:
    """All rounds of a run, with those that are void."""

    all: list[Round]

    @property
    def valid(self) -> list[Round]:
        """Rounds that count."""
        return [r for r, ok in zip(self.all, valid(self.all), strict=True) if ok]

    def seconds(self, task: str) -> Spread:
        """Return the seconds of a task."""
        return Spread.of([r.seconds[task] for r in self.valid])

    def gemm_seconds(self) -> Spread:
        """Return the seconds of the GEMMs."""
        return Spread.of([r.gemm_seconds for r in self.valid])

    def ratio(self, task: str, to: str) -> Spread:
        """Return the seconds of a task over those of another in the same round."""
        return Spread.of([r.seconds[task] / r.seconds[to] for r in self.valid])

    def gemm_share(self, task: str, factor: float = 1.0) -> Spread:
        """Return the seconds of the GEMMs, times `factor`, over those of a task in its round."""
        return Spread.of([factor * r.gemm_seconds / r.seconds[task] for r in self.valid])

    def counts(self) -> dict[str, int]:
        """Return the numbers of rounds that count, and of those that are void."""
        good = len(self.valid)
        return {"valid": good, "void": len(self.all) - good}


class Stopwatch:
    """Times tasks on a device until it has done them; a reading repeats short tasks."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._calls: dict[str, int] = {}

    def seconds(self, name: str, task: Task, repeat: bool = True) -> float:
        """Time one call; the first reading of a name sets the number of repetitions."""
        calls = self._calls.get(name, 1)
        start = self._now()
        for _ in range(calls):
            task()
        spent = (self._now() - start) / calls
        if name not in self._calls:
            self._calls[name] = max(1, math.ceil(_LEAST_SECONDS / spent)) if repeat else 1
        return spent

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def interleave(
    tasks: dict[str, Task],
    reference: Task,
    device: torch.device,
    rounds: int,
    max_rounds: int,
    desc: str,
    repeat: bool = True,
) -> Rounds:
    """Time every task once a round, in rotating order, between two readings of the GEMMs.

    Rounds go on until enough of them count.

    Args:
        tasks: tasks to time, by name.
        reference: GEMMs that decide whether a round counts.
        device: device to wait for at each reading.
        rounds: number of rounds that must count.
        max_rounds: maximum number of rounds.
        desc: label of the progress bar.
        repeat: whether short tasks are repeated, after one reading that does not count.

    Returns:
        All rounds.

    Raises:
        RunError: no round counts.
    """
    watch, names = Stopwatch(device), list(tasks)
    for name, task in [("", reference), *(tasks.items() if repeat else ())]:
        watch.seconds(name, task)
    done: list[Round] = []
    bar: tqdm[object] = progress(desc=desc, total=rounds, unit="round")
    with bar:
        while sum(valid(done)) < rounds and len(done) < max_rounds:
            turn = len(done) % len(names)
            order = names[turn:] + names[:turn]
            before = watch.seconds("", reference)
            seconds = {name: watch.seconds(name, tasks[name], repeat) for name in order}
            done.append(Round(seconds, (before, watch.seconds("", reference))))
            bar.update()
    result = Rounds(done)
    if not result.valid:
        raise RunError(
            f"{desc}: the matrix rate fell by more than 10 % in each of {len(done)} rounds",
            remedy="let nothing else run on this machine meanwhile, or set fewer --threads",
        )
    return result
