"""Turns arcs in any order, as a decoder leaves them, into a trimmed and sorted `Lattice`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.lattice import Lattice
from asr_hf.hmm.scores import AlignmentError, Scores


class NoPathError(AlignmentError):
    """No path of the search reached a final state with the last frame."""


@dataclass(frozen=True)
class RawLattice:
    """Arcs between states numbered in any order; `ARC` and `FINAL` name their fields."""

    start: int
    num_states: int
    arcs: NDArray[Any]
    finals: NDArray[Any]


def to_lattice(raw: RawLattice, utterance: str) -> Lattice:
    """Remove what is on no path, and number the states by frame and depth of epsilon arcs.

    Returns:
        The lattice, its states in topological order.

    Raises:
        NoPathError: there is no path.
        AlignmentError: epsilon arcs form a circle.
    """
    source, target = raw.arcs["source"].tolist(), raw.arcs["target"].tolist()
    ends = raw.finals["state"].tolist()
    forward = _reached(raw.num_states, source, target, [raw.start])
    backward = _reached(raw.num_states, target, source, ends)
    used = forward & backward
    if not used[raw.start]:
        raise NoPathError(
            f"{utterance}: no path reached the end of the utterance",
            expected="a final state after the last frame",
            remedy="raise the beam, or look at the recording's end",
        )
    arcs = raw.arcs[used[raw.arcs["source"]] & used[raw.arcs["target"]]]
    finals = raw.finals[used[raw.finals["state"]]]
    frame, depth = _frames_and_depths(raw, arcs, int(used.sum()), utterance)
    order = np.lexsort((depth, frame))
    order = order[used[order]]
    number = np.full(raw.num_states, -1, np.int64)
    number[order] = np.arange(len(order))
    arcs["source"], arcs["target"] = number[arcs["source"]], number[arcs["target"]]
    arcs = arcs[np.lexsort((arcs["word"], arcs["label"], arcs["target"], arcs["source"]))]
    finals["state"] = number[finals["state"]]
    finals = finals[np.argsort(finals["state"])]
    return Lattice(utterance, arcs, frame[order].astype(np.int32), finals)


def depths(
    states: int, source: NDArray[np.int64], target: NDArray[np.int64], utterance: str
) -> NDArray[np.int64]:
    """Count the most epsilon arcs that lead one after another to each state.

    Args:
        states: number of states.
        source: state that each epsilon arc leaves [A].
        target: state that each epsilon arc enters [A].
        utterance: name of the utterance, for messages.

    Returns:
        The counts [states].

    Raises:
        AlignmentError: the arcs form a circle.
    """
    depth = np.zeros(states, np.int64)
    for _ in range(len(source) + 1):
        behind = depth[target] <= depth[source]
        if not behind.any():
            return depth
        np.maximum.at(depth, target[behind], depth[source[behind]] + 1)
    raise AlignmentError(
        f"{utterance}: epsilon arcs of its lattice form a circle",
        expected="a language model that cannot back off for ever",
        remedy="make language model and graph again",
    )


def with_acoustics(lattice: Lattice, log_likelihoods: Scores, pdf_of: NDArray[np.int32]) -> Lattice:
    """Copy a lattice, giving its arcs the unscaled scores [frames, pdfs] of their pdfs."""
    arcs = lattice.arcs.copy()
    emits = arcs["label"] > 0
    frames = lattice.frame_of[arcs["source"][emits]]
    arcs["acoustic"] = 0
    arcs["acoustic"][emits] = log_likelihoods[frames, pdf_of[arcs["label"][emits]]]
    return Lattice(lattice.utterance, arcs, lattice.frame_of, lattice.finals)


def _reached(
    states: int, source: list[int], target: list[int], starts: list[int]
) -> NDArray[np.bool_]:
    following: list[list[int]] = [[] for _ in range(states)]
    for first, second in zip(source, target, strict=True):
        following[first].append(second)
    reached = np.zeros(states, bool)
    known, waiting = set(starts), list(starts)
    while waiting:
        for state in following[waiting.pop()]:
            if state not in known:
                known.add(state)
                waiting.append(state)
    reached[list(known)] = True
    return reached


def _frames_and_depths(
    raw: RawLattice, arcs: NDArray[Any], used: int, utterance: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count for each state the frames before it, and the most epsilon arcs since the last frame."""
    frame, depth, entering = [0] * raw.num_states, [0] * raw.num_states, [0] * raw.num_states
    following: list[list[tuple[int, int]]] = [[] for _ in range(raw.num_states)]
    columns = (arcs[name].tolist() for name in ("source", "target", "label"))
    for first, second, label in zip(*columns, strict=True):
        following[first].append((second, label))
        entering[second] += 1
    waiting, done = [raw.start], 0
    while waiting:
        state = waiting.pop()
        done += 1
        for second, label in following[state]:
            frame[second] = frame[state] + (label > 0)
            if not label:
                depth[second] = max(depth[second], depth[state] + 1)
            entering[second] -= 1
            if not entering[second]:
                waiting.append(second)
    if done < used:
        raise AlignmentError(
            f"{utterance}: epsilon arcs of its lattice form a circle",
            expected="a language model that cannot back off for ever",
            remedy="make language model and graph again",
        )
    return np.asarray(frame), np.asarray(depth)
