"""Learning rates over a training run, and its end by held-out data."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Protocol, runtime_checkable

from asr_hf.runtime.errors import InputError


class Schedule(Protocol):
    """Scales the learning rate."""

    @property
    def finished(self) -> bool:
        """Whether training has ended before its planned end."""
        ...

    def factor(self, progress: float) -> float:
        """Return the factor of the base rate at `progress` in [0, 1] of the planned run."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what later decisions depend on, as JSON values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...


@runtime_checkable
class EpochJudge(Schedule, Protocol):
    """A schedule that steers by the held-out loss, and may have an epoch undone."""

    def judge(self, before: float, after: float) -> bool:
        """Take note of the held-out loss before and after an epoch; return whether to keep it."""
        ...


class Constant:
    """The base rate throughout."""

    finished = False

    def factor(self, progress: float) -> float:
        """Return 1."""
        return 1.0

    def state_dict(self) -> dict[str, Any]:
        """There is no state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is no state."""


class Annealed(Constant, ABC):
    """A linear rise to the base rate, then a fall to zero at the planned end.

    Args:
        warm_up: share of the run during which the rate rises, in [0, 1).

    Raises:
        InputError: `warm_up` is out of range.
    """

    def __init__(self, warm_up: float = 0.03) -> None:
        if not 0.0 <= warm_up < 1.0:
            raise InputError(f"schedule.warm_up: {warm_up}", expected="0 or more, below 1")
        self.warm_up = warm_up

    def factor(self, progress: float) -> float:
        """Return the factor in [0, 1]."""
        if progress < self.warm_up:
            return progress / self.warm_up
        return self.fall((progress - self.warm_up) / (1.0 - self.warm_up))

    @abstractmethod
    def fall(self, progress: float) -> float:
        """Return the factor at `progress` in [0, 1] of the fall: 1 at its start, 0 at its end."""


class Linear(Annealed):
    """A linear rise, then a linear fall to zero."""

    def fall(self, progress: float) -> float:
        """Return the factor in [0, 1]."""
        return 1.0 - progress


class Cosine(Annealed):
    """A linear rise, then half a cosine down to zero (Loshchilov & Hutter 2017, equation 5)."""

    def fall(self, progress: float) -> float:
        """Return the factor in [0, 1]."""
        return 0.5 * (1.0 + math.cos(math.pi * progress))


class Newbob:
    """Halve the rate every epoch once the held-out gain is small; end when it is tiny.

    Kaldi's nnet1 recipe: an epoch that does not lower the held-out loss is undone.

    Args:
        start_below: relative gain of an epoch below which halving sets in, for good.
        stop_below: relative gain below which training ends, once halving has set in.
        decay: factor of the rate at each halving.

    Raises:
        InputError: a setting is out of range.
    """

    def __init__(
        self, start_below: float = 0.01, stop_below: float = 0.001, decay: float = 0.5
    ) -> None:
        if not (stop_below <= start_below and 0.0 < decay < 1.0):
            raise InputError(
                f"schedule: start_below {start_below}, stop_below {stop_below}, decay {decay}",
                expected="stop_below at most start_below, decay between 0 and 1",
            )
        self.start_below, self.stop_below, self.decay = start_below, stop_below, decay
        self.halvings = 0
        self.finished = False

    def factor(self, progress: float) -> float:
        """Return decay to the number of halvings."""
        return self.decay**self.halvings

    def judge(self, before: float, after: float) -> bool:
        """Halve or stop by the relative gain; keep the epoch if there is one (a NaN is none)."""
        accepted = after < before
        gain = (before - after) / abs(before) if accepted else 0.0
        if self.halvings and gain < self.stop_below:
            self.finished = True
        elif self.halvings or gain < self.start_below:
            self.halvings += 1
        return accepted

    def state_dict(self) -> dict[str, Any]:
        """Return the number of halvings and whether training has ended."""
        return {"halvings": self.halvings, "finished": self.finished}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.halvings, self.finished = state["halvings"], state["finished"]
