"""Foretells how long a run takes: its passes are timed on a few utterances, and counted ahead."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.pass_cost import PassCost
from asr_hf.training.frame_objective import FrameObjective

# As many frames as fill a core's matrix products; a GPU needs whole chunks.
_PROBE_FRAMES = 1024
_UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))


@dataclass(frozen=True)
class Rates:
    """Seconds that each pass takes for one frame."""

    gradient: float
    loss: float
    product: float = 0.0
    linearise: float = 0.0

    def seconds(self, cost: PassCost, products: int, shares: int = 1) -> float:
        """Return the seconds of one iteration, its samples dealt to `shares` processes."""
        return (
            self.gradient * cost.gradient
            + self.loss * cost.loss
            + (self.linearise + self.product * products) * cost.curvature
        ) / shares


@dataclass(frozen=True)
class Duration:
    """The seconds that a run takes, each with few and with many products.

    Args:
        rates: seconds a frame of its passes.
        first: seconds of the first iteration.
        last: seconds of the last iteration.
        total: seconds of all iterations.
        iterations: the most iterations that there can be.
        given: seconds after which it ends, where it does not end by its iterations.
    """

    rates: Rates
    first: tuple[float, float]
    last: tuple[float, float]
    total: tuple[float, float]
    iterations: int
    given: float | None = None

    def describe(self) -> str:
        """Return one line for the log."""
        product = self.rates.product
        speed = f"{1 / self.rates.gradient:.0f} gradient frames/s" + (
            f", {1 / product:.0f} product frames/s" if product else ""
        )
        grown = "" if self.last == self.first else f" growing to {_range(self.last)}"
        end = (
            f"at most {self.iterations} of them: {_range(self.total)}"
            if self.given is None
            else f"for the {_seconds(self.given)} given"
        )
        return f"time: {_range(self.first)} an iteration{grown}, {end}; by its passes, at {speed}"


def estimate(
    rates: Rates, pass_costs: Sequence[PassCost], shares: int = 1, given: float | None = None
) -> Duration:
    """Estimate the duration of a run.

    Args:
        rates: seconds a frame of its passes.
        pass_costs: the passes of every iteration.
        shares: number of processes that samples are dealt to.
        given: see `Duration`.

    Returns:
        The duration with few and with many products.
    """
    few, many = (
        [rates.seconds(cost, cost.products[which], shares) for cost in pass_costs]
        for which in (0, 1)
    )
    first, last, total = (few[0], many[0]), (few[-1], many[-1]), (sum(few), sum(many))
    return Duration(rates, first, last, total, len(pass_costs), given)


def measure_rates(objective: FrameObjective, curvature: bool) -> Rates:
    """Time each pass on a few utterances; leaves the work counters as they were."""
    gpu = objective.device.type == "cuda"
    sample = _first_units(objective, objective.chunk_frames if gpu else _PROBE_FRAMES)
    num_frames = int(objective.unit_frames(Split.TRAIN)[sample.units].sum())
    theta = objective.model.flat.detach().clone()

    def rate(work: Callable[[], object]) -> float:
        # Once to warm up: buffers, and a GPU's choice of kernels.
        work()
        start = _now(objective.device)
        work()
        return (_now(objective.device) - start) / num_frames

    with objective.uncounted():
        gradient = rate(lambda: objective.gradient(theta, sample))
        loss = rate(lambda: objective.loss(theta, sample))
        if not curvature:
            return Rates(gradient, loss)
        linearise = rate(lambda: objective.curvature(theta, sample))
        held, out = objective.curvature(theta, sample), torch.empty_like(theta)
        return Rates(gradient, loss, rate(lambda: held.product(theta, out)), linearise)


def _first_units(objective: FrameObjective, num_frames: int) -> Sample:
    ends = np.cumsum(objective.unit_frames(Split.TRAIN))
    count = min(len(ends), int(np.searchsorted(ends, num_frames)) + 1)
    return Sample(Split.TRAIN, np.arange(count))


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _range(seconds: tuple[float, float]) -> str:
    low, high = (_seconds(s) for s in seconds)
    return low if low == high else f"{low} to {high}"


def _seconds(seconds: float) -> str:
    size, unit = next((u for u in _UNITS if seconds >= u[0]), _UNITS[-1])
    return f"{seconds / size:.2g} {unit}" if seconds / size < 10 else f"{seconds / size:.0f} {unit}"
