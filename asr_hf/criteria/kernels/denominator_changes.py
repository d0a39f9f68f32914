"""Changes of a denominator's forward and backward sums along a direction of the outputs.

Each frame's sums are computed again beside their changes: the arcs are read but once, and reading
sums from memory that another pass has written would take as long.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from asr_hf.criteria.kernels.arc_rows import ArcRows, Floats
from asr_hf.criteria.kernels.denominator import (
    Tile,
    add,
    begin,
    divide,
    given_back,
    prepare,
    turned,
)
from asr_hf.criteria.kernels.lanes import every, fused, over, plus, put, row, times


@njit(nogil=True)
def _entered(graph: ArcRows, number: int, before: Floats, change: Floats) -> Any:
    """Return what arcs bring to an entry, without its output, and its change [LANES]."""
    entered, moved = every(graph.stay.dtype.type(0)), every(graph.stay.dtype.type(0))
    for arc in range(graph.into[number], graph.into[number + 1]):
        weight, source = every(graph.weight[arc]), graph.source[arc]
        entered = fused(weight, row(before, source), entered)
        moved = fused(weight, row(change, source), moved)
    return entered, moved


@njit(nogil=True)
def forward_changes(
    graph: ArcRows,
    tile: Tile,
    along: Floats,
    span: tuple[int, int],
    both: tuple[Floats, Floats],
    room: tuple[Floats, Floats],
) -> None:
    """Take forward sums and their changes over some frames.

    Args:
        graph: the graph.
        tile: the utterances.
        along: the direction [F, C].
        span: times of the first frame, and of the frame after the last.
        both: forward sums before each frame and after the last one, and their changes
            [n, S, LANES]; the first of each are given.
        room: room for a frame's probabilities and for its direction [C, LANES].
    """
    states, entries = len(graph.stay), len(graph.pdf)
    emission, ahead = room
    zero, one = every(graph.stay.dtype.type(0)), every(graph.stay.dtype.type(1))
    for time in range(span[0], span[1]):
        place = time - span[0]
        before, after = both[0][place], both[0][place + 1]
        change, next_change = both[1][place], both[1][place + 1]
        turned(tile.probability, tile.frame[time], emission)
        turned(along, tile.frame[time], ahead)
        total, moved = zero, zero
        for state in range(states):
            entered, other = _entered(graph, state, before, change)
            pdf, own = graph.pdf[state], graph.own_pdf[state]
            stayed = times(every(graph.stay[state]), row(before, state))
            kept = times(every(graph.stay[state]), row(change, state))
            met = times(entered, row(emission, pdf))
            other = times(fused(row(ahead, pdf), entered, other), row(emission, pdf))
            met = fused(stayed, row(emission, own), met)
            other = fused(fused(row(ahead, own), stayed, kept), row(emission, own), other)
            put(after, state, met)
            put(next_change, state, other)
            total, moved = plus(total, met), plus(moved, other)
        for number in range(states, entries):
            entered, other = _entered(graph, number, before, change)
            pdf, state = graph.pdf[number], graph.further[number - states]
            met = times(entered, row(emission, pdf))
            other = times(fused(row(ahead, pdf), entered, other), row(emission, pdf))
            put(after, state, plus(row(after, state), met))
            put(next_change, state, plus(row(next_change, state), other))
            total, moved = plus(total, met), plus(moved, other)
        put(tile.scales, time, total)
        share = over(one, total)
        leaps = times(moved, share)
        for state in range(states):
            leap = every(graph.leap[state])
            put(after, state, fused(row(after, state), share, leap))
            put(next_change, state, fused(row(next_change, state), share, times(leap, leaps)))


@njit(nogil=True)
def _follow(
    graph: ArcRows,
    emission: Floats,
    ahead: Floats,
    betas: tuple[Floats, Floats],
    through: tuple[Floats, Floats],
    before: tuple[Floats, Floats],
    counts: Floats,
) -> None:
    """Fill in what follows each entry, with its output, and its change [M, LANES]; count both."""
    states = len(graph.stay)
    for number in range(len(graph.pdf)):
        state = number if number < states else graph.further[number - states]
        pdf, follows = graph.pdf[number], row(betas[0], state)
        moved = fused(row(ahead, pdf), follows, row(betas[1], state))
        follows, moved = times(follows, row(emission, pdf)), times(moved, row(emission, pdf))
        put(through[0], number, follows)
        put(through[1], number, moved)
        entered, changed = _entered(graph, number, before[0], before[1])
        put(counts, pdf, fused(changed, follows, fused(entered, moved, row(counts, pdf))))


@njit(nogil=True)
def backward_changes(
    graph: ArcRows,
    tile: Tile,
    along: Floats,
    span: tuple[int, int],
    both: tuple[Floats, Floats],
    betas: tuple[Floats, Floats],
    room: tuple[Floats, Floats, Floats],
    entries_room: tuple[Floats, Floats],
    changes: Floats,
) -> None:
    """Take backward sums and their changes over some frames, and fill in those of occupancies.

    Args:
        graph: the graph.
        tile: the utterances, whose `backward` has run.
        along: the direction [F, C].
        span: times of the first frame, and of the frame after the last.
        both: forward sums before each of these frames, and their changes [n, S, LANES].
        betas: backward sums after the last frame, and their changes [S, LANES]; afterwards, before
            the first one.
        room: room for a frame's probabilities, its direction and its counts [C, LANES].
        entries_room: room for its entries and their changes [M, LANES].
        changes: change of the occupancies [F, C], filled in.
    """
    emission, ahead, counts = room
    through, moved_through = entries_room
    beta, moved = betas
    zero = every(graph.stay.dtype.type(0))
    for time in range(span[1] - 1, span[0] - 1, -1):
        before, change = both[0][time - span[0]], both[1][time - span[0]]
        begin(beta, tile.length, time, 1)
        begin(moved, tile.length, time, 0)
        turned(tile.probability, tile.frame[time], emission)
        turned(along, tile.frame[time], ahead)
        prepare(emission, counts, row(tile.scales, time))
        _follow(graph, emission, ahead, betas, entries_room, (before, change), counts)
        leaps, moved_leaps = zero, zero
        for state in range(len(beta)):
            here, own = row(before, state), graph.own_pdf[state]
            changed, follows = row(change, state), row(beta, state)
            stayed = times(every(graph.stay[state]), row(emission, own))
            reached = times(stayed, follows)
            other = times(stayed, fused(row(ahead, own), follows, row(moved, state)))
            put(counts, own, fused(changed, reached, fused(here, other, row(counts, own))))
            for arc in range(graph.out[state], graph.out[state + 1]):
                weight, number = every(graph.along[arc]), graph.entry[arc]
                reached = fused(weight, row(through, number), reached)
                other = fused(weight, row(moved_through, number), other)
            put(beta, state, reached)
            put(moved, state, other)
            leaps = fused(every(graph.leap[state]), reached, leaps)
            moved_leaps = fused(every(graph.leap[state]), other, moved_leaps)
        add(beta, leaps)
        add(moved, moved_leaps)
        divide(counts, row(tile.weights, time))
        given_back(counts, tile, time, changes)
