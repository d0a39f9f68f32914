"""Makes the numerator graph of an utterance: its phones, at about the times of its alignment."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.hmm.chain.denominator import REST, PhoneStates
from asr_hf.hmm.chain.phone_lm import START
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.tree.sampled_states import FIRST, STAYS

# Phone id, first frame and number of frames at the full rate.
Span = tuple[int, int, int]


class NumeratorMaker:
    """Makes numerator graphs.

    Args:
        states: the states of the denominator.
        start: probability of the denominator's first state before the first frame.
        transitions: transition model, whose transition ids are the labels.
        every: k; every k-th frame is emitted.
        tolerance: frames at the full rate by which a phone may begin earlier or end later than it
            is aligned.
    """

    def __init__(
        self,
        states: PhoneStates,
        start: float,
        transitions: TransitionModel,
        every: int,
        tolerance: int,
    ) -> None:
        self._states, self._every, self._tolerance = states, every, tolerance
        self._start = math.log(start)
        self._labels = {key: min(ids.values()) for key, ids in transitions.numbers.items()}

    def make(self, utterance: str, spans: Sequence[Span]) -> Lattice:
        """Make the graph of an utterance.

        Every path has a probability in the denominator too, so that the numerator is never
        likelier than that, but where the language model lacks something said.

        Args:
            utterance: name of the utterance.
            spans: its phones, one behind the other.

        Returns:
            The graph.

        Raises:
            AlignmentError: there are more phones than emitted frames in some place.
        """
        frames = spans[-1][1] + spans[-1][2]
        windows = _windows(spans, self._every, self._tolerance, -(-frames // self._every))
        alive = _on_paths(windows)
        if alive is None:
            raise AlignmentError(
                f"{utterance}: {len(spans)} phones in {windows[-1][1]} frames of every "
                f"{self._every}: too fast somewhere",
                remedy="a larger alignment.chain.tolerance",
            )
        begins, stays = self._arcs_of(spans)
        numbers = {place: n for n, place in enumerate(alive)}
        rows = []
        for (time, phone), number in numbers.items():
            for next_phone, (label, weight) in (
                (phone, stays[phone]),
                (phone + 1, begins[phone + 1]),
            ):
                target = numbers.get((time + 1, next_phone))
                if target is not None and label:
                    rows.append((number, target, label, 0, weight, 0.0))
        finals = np.array([(len(alive) - 1, 0.0)], FINAL)
        times = np.array([time for time, _ in alive], np.int32)
        return Lattice(utterance, np.array(rows, ARC), times, finals)

    def _arcs_of(
        self, spans: Sequence[Span]
    ) -> tuple[list[tuple[int, float]], dict[int, tuple[int, float]]]:
        """Return label and log weight of each phone's first frame, and of its further ones.

        Label 0 stands for no such frame: past the last phone, and before the first one.
        """
        states, before, state = self._states, START, 0
        begins: list[tuple[int, float]] = []
        stays: dict[int, tuple[int, float]] = {-1: (0, 0.0)}
        history: tuple[int, ...] = (START,)
        for number, (phone, _, _) in enumerate(spans):
            weight = math.log(states.saying(state, phone))
            first = self._labels[phone, FIRST, states.first_pdf(before, phone)]
            rest = self._labels[phone, REST, states.rest_pdf(before, phone)]
            begins.append((first, weight + self._start * (number == 0)))
            stays[number] = (rest, math.log(STAYS))
            state = states.after(history, phone)
            history, before = (*history, phone)[-states.longest :], phone
        return [*begins, (0, 0.0)], stays


def _windows(
    spans: Sequence[Span], every: int, tolerance: int, emitted: int
) -> list[tuple[int, int]]:
    """Return the first emitted frame that may lie in each phone, and the end of these."""
    windows = [
        (
            max(0, -(-(start - tolerance) // every)),
            min(emitted, -(-(start + frames + tolerance) // every)),
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
