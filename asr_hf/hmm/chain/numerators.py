"""Makes the numerator graphs of an utterance: its phones, at about the times of its alignment."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.hmm.chain.denominator import REST, PhoneStates
from asr_hf.hmm.chain.phone_lm import START
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.tree.sampled_states import FIRST, STAYS

# Phone id, first frame and number of frames at the full rate.
Span = tuple[int, int, int]


@dataclass(frozen=True)
class _Arcs:
    """What the arcs of an utterance have; label 0 stands for no arc.

    Args:
        begins: label and log weight of each phone's first frame, and of what is past the last.
        stays: label and log weight of its further frames; of phone -1 before the first one.
        initial: log of the probability that a piece begins inside it.
    """

    begins: Sequence[tuple[int, float]]
    stays: Mapping[int, tuple[int, float]]
    initial: Mapping[int, float]


class NumeratorMaker:
    """Makes numerator graphs.

    Args:
        states: the states of the denominator.
        initial: probability of each of the denominator's states before the first frame [S].
        transitions: transition model, whose transition ids are the labels.
        every: k; every k-th frame is emitted.
        tolerance: frames at the full rate by which a phone may begin earlier or end later than it
            is aligned.
        piece: about how many emitted frames each graph has; None makes one graph of an utterance.
    """

    def __init__(
        self,
        states: PhoneStates,
        initial: NDArray[np.float64],
        transitions: TransitionModel,
        every: int,
        tolerance: int,
        piece: int | None = None,
    ) -> None:
        self._states, self._every, self._tolerance = states, every, tolerance
        self._piece = piece
        # A state that no path is in has no weight; a graph needs a number.
        self._initial = np.log(np.maximum(initial, np.finfo(np.float64).tiny)).tolist()
        self._labels = {key: min(ids.values()) for key, ids in transitions.numbers.items()}

    def make(self, utterance: str, spans: Sequence[Span], phase: int = 0) -> list[Lattice]:
        """Make the graphs of an utterance, one behind the other.

        Every path has a probability in the denominator too, so that the numerator is never
        likelier than that, but where the language model lacks something said. A piece begins as
        the denominator does, in any state, with the probability that the state has there.

        Args:
            utterance: name of the utterance.
            spans: its phones, one behind the other.
            phase: number of the first emitted frame, less than that of frames.

        Returns:
            The graph of each piece.

        Raises:
            AlignmentError: there are more phones than emitted frames in some place.
        """
        windows = _windows(spans, self._every, self._tolerance, phase)
        alive = _on_paths(windows)
        if alive is None:
            raise AlignmentError(
                f"{utterance}: {len(spans)} phones in {windows[-1][1]} frames of every "
                f"{self._every}: too fast somewhere",
                remedy="a larger alignment.chain.tolerance",
            )
        arcs = self._arcs_of(spans)
        times = [time for time, _ in alive]
        borders = self._borders(windows[-1][1])
        return [
            _piece(utterance, alive[bisect_left(times, start) : bisect_right(times, end)], arcs)
            for start, end in pairwise(borders)
        ]

    def _borders(self, emitted: int) -> list[int]:
        """Return where pieces begin, and where the last one ends: all are about equally long."""
        pieces = 1 if self._piece is None else max(1, round(emitted / self._piece))
        return [round(number * emitted / pieces) for number in range(pieces + 1)]

    def _arcs_of(self, spans: Sequence[Span]) -> _Arcs:
        states, before, state = self._states, START, 0
        begins: list[tuple[int, float]] = []
        stays: dict[int, tuple[int, float]] = {-1: (0, 0.0)}
        initial = {-1: self._initial[0]}
        history: tuple[int, ...] = (START,)
        for number, (phone, _, _) in enumerate(spans):
            weight = math.log(states.saying(state, phone))
            first = self._labels[phone, FIRST, states.first_pdf(before, phone)]
            rest = self._labels[phone, REST, states.rest_pdf(before, phone)]
            begins.append((first, weight))
            stays[number] = (rest, math.log(STAYS))
            state = states.after(history, phone)
            initial[number] = self._initial[state]
            history, before = (*history, phone)[-states.longest :], phone
        return _Arcs([*begins, (0, 0.0)], stays, initial)


def _piece(utterance: str, alive: Sequence[tuple[int, int]], arcs: _Arcs) -> Lattice:
    """Make the graph of a piece from the states in it, by time and phone; see `_on_paths`."""
    begin, end = alive[0][0], alive[-1][0]
    # One start stands for all states that the piece may begin in.
    later = next(place for place, (time, _) in enumerate(alive) if time > begin)
    numbers = {state: max(0, place + 1 - later) for place, state in enumerate(alive)}
    rows = []
    for (time, phone), number in numbers.items():
        before = arcs.initial[phone] if time == begin else 0.0
        ahead = ((phone, arcs.stays[phone]), (phone + 1, arcs.begins[phone + 1]))
        for next_phone, (label, weight) in ahead:
            target = numbers.get((time + 1, next_phone))
            if target is not None and label:
                rows.append((number, target, label, 0, before + weight, 0.0))
    finals = np.array([(n, 0.0) for (time, _), n in numbers.items() if time == end], FINAL)
    times = np.array([0, *(time - begin for time, _ in alive[later:])], np.int32)
    return Lattice(utterance, np.array(rows, ARC), times, finals)


def _windows(
    spans: Sequence[Span], every: int, tolerance: int, phase: int
) -> list[tuple[int, int]]:
    """Return the first emitted frame that may lie in each phone, and the end of these."""
    emitted = -(-(spans[-1][1] + spans[-1][2] - phase) // every)
    windows = [
        (
            max(0, -(-(start - tolerance - phase) // every)),
            min(emitted, -(-(start + frames + tolerance - phase) // every)),
        )
        for _, start, frames in spans
    ]
    windows[0] = 0, windows[0][1]
    windows[-1] = windows[-1][0], emitted
    return windows


def _on_paths(windows: Sequence[tuple[int, int]]) -> list[tuple[int, int]] | None:
    """Return the states on paths from before the first frame to behind the last one.

    A state is a number of frames and the phone that the last of them is in, -1 before the first.

    Returns:
        The states by time and phone; None where there is no path.
    """
    emitted, last = windows[-1][1], len(windows) - 1

    def ahead(time: int, phone: int) -> list[int]:
        """Return the phones that a frame may be in after one in a phone."""
        return [
            p
            for p in (phone, phone + 1)
            if 0 <= p <= last and windows[p][0] <= time < windows[p][1]
        ]

    reached = [{-1}]
    for time in range(emitted):
        reached.append({p for phone in reached[-1] for p in ahead(time, phone)})
    alive = [reached[-1] & {last}]
    for time in range(emitted - 1, -1, -1):
        alive.append({p for p in reached[time] if alive[-1].intersection(ahead(time, p))})
    states = [(time, p) for time, some in enumerate(reversed(alive)) for p in sorted(some)]
    return states if alive[0] else None
