"""Decides which rank computes which units of a sample."""

from __future__ import annotations

import heapq

import numpy as np

# Runs of neighbours that a rank is given, on average: the more, the evener the shares.
_RUNS = 32


def partition_units(frame_counts: np.ndarray, num_ranks: int) -> list[np.ndarray]:
    """Deal units to ranks so that they finish together.

    Neighbouring units, which may be pieces of one utterance, are put together into runs of
    about 1/32 of a share, or of one longer unit; runs go, longest first, to the rank with the
    fewest frames so far (Graham 1969). The result depends on nothing but the arguments.

    Args:
        frame_counts: number of frames of each unit [U].
        num_ranks: number of ranks.

    Returns:
        For each rank the places of its units among those given, rising.
    """
    counts = np.asarray(frame_counts, dtype=np.int64)
    run_frames = max(1, int(counts.sum()) // (num_ranks * _RUNS))
    # A unit belongs to the run in which its middle lies.
    middles = np.cumsum(counts) - (counts + 1) // 2
    _, run_of_unit = np.unique(middles // run_frames, return_inverse=True)
    sizes = np.bincount(run_of_unit, weights=counts)
    owners = np.zeros(len(sizes), dtype=np.int64)
    loads = [(0, rank) for rank in range(num_ranks)]
    for run in np.argsort(-sizes, kind="stable").tolist():
        load, rank = heapq.heappop(loads)
        owners[run] = rank
        heapq.heappush(loads, (load + int(sizes[run]), rank))
    owner_of_unit = owners[run_of_unit]
    return [np.flatnonzero(owner_of_unit == rank) for rank in range(num_ranks)]
