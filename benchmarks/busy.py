"""Measures the share of time in which a GPU computes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import torch
from torch.profiler import ProfilerActivity, profile


def busy_fraction(task: Callable[[], object]) -> float:
    """Measure the share of the task's time in which at least one kernel ran on the GPU."""
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        start = time.perf_counter()
        task()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    kernels = [
        (event.time_range.start, event.time_range.end)
        for event in profiler.events() or []
        if event.device_type.name == "CUDA"
    ]
    return covered(kernels) * 1e-6 / seconds


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """Add up the length of the union of intervals."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
