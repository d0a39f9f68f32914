"""Forward and backward sums of a denominator graph, and their changes, a frame after the other.

The utterances of a tile stand side by side, one in each lane. Where one has ended, its lane takes
its last frame again and again; what it adds up there is not used.

All sums are as in `asr_hf.criteria.denominator_paths`, but for three things. Entries are not kept:
they are computed from forward sums, which have half as many rows. Forward sums are kept with what
leaps to their states. And what arcs count for their pdfs is added up along with the backward sums.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from asr_hf.criteria.kernels.arc_rows import ArcRows, Floats
from asr_hf.criteria.kernels.lanes import LANES, every, fused, over, plus, put, row, times


class Tile(NamedTuple):
    """Utterances side by side, the longest first.

    Args:
        probability: exponential of the outputs, less each frame's largest [F, C].
        frame: number of each lane's frame at each time [T, LANES]; its last where it has ended.
        length: number of frames of each lane [LANES]; 0 where a lane has no utterance.
        utterance: number of each lane's utterance [LANES].
        scales: what the forward sums of each frame add up to [T, LANES]; `forward` fills it in.
        weights: what the occupancies of each frame add up to before they are divided by it
            [T, LANES]; `backward` fills it in. It is 1, but for rounding that has added up in
            backward sums.
    """

    probability: Floats
    frame: NDArray[np.int64]
    length: NDArray[np.int64]
    utterance: NDArray[np.int64]
    scales: Floats
    weights: Floats


@njit(nogil=True)
def turned(frames: Floats, numbers: NDArray[np.int64], lanes: Floats) -> None:
    """Copy some frames [F, C] to the lanes of a matrix [C, LANES]."""
    for lane in range(LANES):
        of_lane = frames[numbers[lane]]
        for pdf in range(lanes.shape[0]):
            lanes[pdf, lane] = of_lane[pdf]


@njit(nogil=True)
def entered_at(graph: ArcRows, number: int, before: Floats) -> Any:
    """Return what arcs bring to an entry, without its output [LANES]."""
    entered = every(graph.stay.dtype.type(0))
    for arc in range(graph.into[number], graph.into[number + 1]):
        entered = fused(every(graph.weight[arc]), row(before, graph.source[arc]), entered)
    return entered


@njit(nogil=True)
def forward(
    graph: ArcRows,
    tile: Tile,
    span: tuple[int, int],
    sums: Floats,
    emission: Floats,
) -> None:
    """Take forward sums over some frames.

    Args:
        graph: the graph.
        tile: the utterances.
        span: times of the first frame, and of the frame after the last.
        sums: room for forward sums before each frame, and after the last one [n, S, LANES], the
            first of which are given; where n is less, they begin anew.
        emission: room for a frame's probabilities [C, LANES].
    """
    states, entries = len(graph.stay), len(graph.pdf)
    zero, one = every(graph.stay.dtype.type(0)), every(graph.stay.dtype.type(1))
    for time in range(span[0], span[1]):
        place = time - span[0]
        before, after = sums[place % len(sums)], sums[(place + 1) % len(sums)]
        turned(tile.probability, tile.frame[time], emission)
        total = zero
        for state in range(states):
            entered = entered_at(graph, state, before)
            stayed = times(every(graph.stay[state]), row(before, state))
            met = times(entered, row(emission, graph.pdf[state]))
            met = fused(stayed, row(emission, graph.own_pdf[state]), met)
            put(after, state, met)
            total = plus(total, met)
        for number in range(states, entries):
            entered = entered_at(graph, number, before)
            met = times(entered, row(emission, graph.pdf[number]))
            state = graph.further[number - states]
            put(after, state, plus(row(after, state), met))
            total = plus(total, met)
        put(tile.scales, time, total)
        share = over(one, total)
        for state in range(states):
            put(after, state, fused(row(after, state), share, every(graph.leap[state])))


@njit(nogil=True)
def backward(
    graph: ArcRows,
    tile: Tile,
    span: tuple[int, int],
    sums: Floats,
    beta: Floats,
    room: tuple[Floats, Floats, Floats],
    occupancies: Floats,
) -> None:
    """Take backward sums over some frames, the last first, and fill in their occupancies.

    Args:
        graph: the graph.
        tile: the utterances.
        span: times of the first frame, and of the frame after the last.
        sums: forward sums before each of these frames [n, S, LANES].
        beta: backward sums after the last frame [S, LANES]; afterwards, before the first one.
        room: room for a frame's probabilities and counts [C, LANES], and for its entries
            [M, LANES].
        occupancies: expected number of times that a frame takes a pdf [F, C], filled in.
    """
    states, entries = len(graph.stay), len(graph.pdf)
    emission, counts, ahead = room
    zero = every(graph.stay.dtype.type(0))
    for time in range(span[1] - 1, span[0] - 1, -1):
        before = sums[time - span[0]]
        begin(beta, tile.length, time, 1)
        turned(tile.probability, tile.frame[time], emission)
        prepare(emission, counts, row(tile.scales, time))
        for number in range(entries):
            state = number if number < states else graph.further[number - states]
            pdf, entered = graph.pdf[number], entered_at(graph, number, before)
            follows = times(row(beta, state), row(emission, pdf))
            put(ahead, number, follows)
            put(counts, pdf, fused(entered, follows, row(counts, pdf)))
        leaps = zero
        for state in range(states):
            pdf = graph.own_pdf[state]
            stayed = times(every(graph.stay[state]), row(emission, pdf))
            reached = times(stayed, row(beta, state))
            put(counts, pdf, fused(row(before, state), reached, row(counts, pdf)))
            for arc in range(graph.out[state], graph.out[state + 1]):
                reached = fused(every(graph.along[arc]), row(ahead, graph.entry[arc]), reached)
            put(beta, state, reached)
            leaps = fused(every(graph.leap[state]), reached, leaps)
        add(beta, leaps)
        weight = zero
        for pdf in range(len(counts)):
            weight = plus(weight, row(counts, pdf))
        put(tile.weights, time, weight)
        divide(counts, weight)
        given_back(counts, tile, time, occupancies)


@njit(nogil=True)
def prepare(emission: Floats, counts: Floats, scale: Any) -> None:
    """Divide a frame's probabilities by its scale, and begin to count [C, LANES]."""
    share = over(every(emission.dtype.type(1)), scale)
    for pdf in range(len(emission)):
        put(emission, pdf, times(row(emission, pdf), share))
        put(counts, pdf, every(emission.dtype.type(0)))


@njit(nogil=True)
def add(sums: Floats, lanes: Any) -> None:
    """Add the same to the sums of all states [S, LANES]."""
    for state in range(len(sums)):
        put(sums, state, plus(row(sums, state), lanes))


@njit(nogil=True)
def divide(counts: Floats, weight: Any) -> None:
    """Divide all counts [C, LANES] by the same."""
    share = over(every(counts.dtype.type(1)), weight)
    for pdf in range(len(counts)):
        put(counts, pdf, times(row(counts, pdf), share))


@njit(nogil=True)
def begin(beta: Floats, lengths: NDArray[np.int64], time: int, value: float) -> None:
    """Set what follows the last frame of the utterances that end at a time."""
    for lane in range(LANES):
        if lengths[lane] == time + 1:
            for state in range(len(beta)):
                beta[state, lane] = value


@njit(nogil=True)
def given_back(counts: Floats, tile: Tile, time: int, frames: Floats) -> None:
    """Copy the lanes of a matrix [C, LANES] to the frames that they are of [F, C]."""
    for lane in range(LANES):
        if time < tile.length[lane]:
            of_lane = frames[tile.frame[time, lane]]
            for pdf in range(len(counts)):
                of_lane[pdf] = counts[pdf, lane]
