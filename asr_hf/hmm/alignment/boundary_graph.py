"""The paths of a training graph that say given phones, with the arcs that begin and end these."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.alignment.segments import Transitions
from asr_hf.hmm.graph.fst_file import FstArrays

# Transition id, weight and next state.
_Arc = tuple[int, float, int]
# State of the training graph; number of spoken phones that have begun; whether the phone at hand
# has taken its final transition; whether that is a pause.
_Node = tuple[int, int, bool, bool]


@dataclass(frozen=True)
class BoundaryGraph:
    """A graph whose paths say the same spoken phones, with any pauses between them.

    Each arc takes one frame. Nodes are sorted by the number of spoken phones that have begun on the
    way to them, arcs by the node that they leave; the first node is the initial one.

    Attributes:
        begun: number of spoken phones begun at each node [N], rising.
        finals: weight of ending in each node [N]; 0 where no path may end.
        speaking: whether the utterance ends a spoken phone if it ends in the node [N].
        sources, targets: nodes that each arc joins [A].
        transition_ids: transition id of each arc [A].
        weights: weight of each arc [A], a probability.
        begins: spoken phone whose first frame the arc takes, from 0 on; -1 for none [A].
        ends: spoken phone whose last frame lies before the arc's, from 0 on; -1 for none [A].
    """

    begun: NDArray[np.int64]
    finals: NDArray[np.float64]
    speaking: NDArray[np.bool_]
    sources: NDArray[np.int64]
    targets: NDArray[np.int64]
    transition_ids: NDArray[np.int64]
    weights: NDArray[np.float64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]


def boundary_graph(
    graph: FstArrays,
    transitions: Transitions,
    spoken: Sequence[int],
    pauses: Collection[int],
) -> BoundaryGraph | None:
    """Take out of a training graph the paths that say given phones.

    Other pronunciations of its words are left out; pauses between the phones may stay or go. A
    phone begins with the arc behind its predecessor's final transition, and where self-loops follow
    the transition that leaves their state (Kaldi's reordered graphs) behind those.

    Args:
        graph: training graph with its transition probabilities; its epsilons form no circle.
        transitions: transition model of the graph.
        spoken: ids of the phones in order, without pauses.
        pauses: ids of the phones that are pauses.

    Returns:
        The paths; None if the graph has none that says these phones.
    """
    arcs, finals = _without_epsilons(graph)
    walk = _Walk(arcs, transitions, spoken, pauses)
    walk.run(graph.start)
    return _assembled(walk, finals, len(spoken))


def _without_epsilons(graph: FstArrays) -> tuple[list[list[_Arc]], list[float]]:
    """Return the arcs that leave each state, behind epsilons too, and the weight of ending there.

    Weights of several ways over epsilons add up.
    """
    bounds = np.concatenate([[0], np.cumsum(graph.counts)]).tolist()
    costs = np.ascontiguousarray(graph.arcs[:, 2]).view(np.float32)
    weights = np.exp(-costs.astype(np.float64)).tolist()
    labels, targets = graph.arcs[:, 0].tolist(), graph.arcs[:, 3].tolist()
    ending = np.exp(-graph.finals.astype(np.float64)).tolist()
    arcs: list[list[_Arc]] = []
    finals: list[float] = []
    for state in range(len(ending)):
        found, final, stack = [], 0.0, [(state, 1.0)]
        while stack:
            at, weight = stack.pop()
            final += weight * ending[at]
            for number in range(bounds[at], bounds[at + 1]):
                onward = weight * weights[number]
                if labels[number]:
                    found.append((labels[number], onward, targets[number]))
                else:
                    stack.append((targets[number], onward))
        arcs.append(found)
        finals.append(final)
    return arcs, finals


class _Walk:
    """Walks along a training graph as long as the phones are those that were spoken.

    Args:
        arcs: arcs that leave each state.
        transitions: transition model of the graph.
        spoken: ids of the spoken phones.
        pauses: ids of the phones that are pauses.

    Attributes:
        nodes: nodes in the order in which they were met.
        steps: source, target, transition id, weight, phone begun and phone ended of each arc.
    """

    def __init__(
        self,
        arcs: list[list[_Arc]],
        transitions: Transitions,
        spoken: Sequence[int],
        pauses: Collection[int],
    ) -> None:
        self._arcs, self._spoken, self._pauses = arcs, spoken, frozenset(pauses)
        self._phone_of = transitions.phone_of.tolist()
        self._is_final = transitions.is_final.tolist()
        self._is_loop = transitions.is_self_loop.tolist()
        self._reordered = _reordered(arcs, transitions.state_of.tolist(), self._is_loop)
        self.nodes: list[_Node] = []
        self.steps: list[tuple[int, int, int, float, int, int]] = []

    def run(self, start: int) -> None:
        """Collect all nodes and steps from the state `start` on."""
        numbers: dict[_Node, int] = {(start, 0, True, True): 0}
        self.nodes.append((start, 0, True, True))
        # Grows while it is walked through.
        for number, node in enumerate(self.nodes):
            for transition, weight, target in self._arcs[node[0]]:
                step = self._step(node, transition, target)
                if step is None:
                    continue
                onward, begins, ends = step
                if onward not in numbers:
                    numbers[onward] = len(self.nodes)
                    self.nodes.append(onward)
                self.steps.append((number, numbers[onward], transition, weight, begins, ends))

    def _step(self, node: _Node, transition: int, target: int) -> tuple[_Node, int, int] | None:
        """Return the node behind an arc, the phone that the arc begins and the one that it ends."""
        _, begun, ended, pausing = node
        final = self._is_final[transition]
        if not ended or (self._reordered and self._is_loop[transition]):
            return (target, begun, ended or final, pausing), -1, -1
        phone, ends = self._phone_of[transition], -1 if pausing else begun - 1
        if phone in self._pauses:
            return (target, begun, final, True), -1, ends
        if begun < len(self._spoken) and phone == self._spoken[begun]:
            return (target, begun + 1, final, False), begun, ends
        return None


def _reordered(arcs: list[list[_Arc]], state_of: list[int], is_loop: list[bool]) -> bool:
    """Whether self-loops follow the transition that leaves their state, in the whole graph."""
    loops = {
        state: state_of[transition]
        for state, leaving in enumerate(arcs)
        for transition, _, target in leaving
        if is_loop[transition] and target == state
    }
    entering: dict[int, set[int]] = defaultdict(set)
    for leaving in arcs:
        for transition, _, target in leaving:
            if target in loops and not is_loop[transition]:
                entering[target].add(state_of[transition])
    return bool(loops) and all(entering[state] == {loop} for state, loop in loops.items())


def _assembled(walk: _Walk, finals: Sequence[float], phones: int) -> BoundaryGraph | None:
    """Sort nodes and arcs, and leave out the nodes from which no end can be reached."""
    ending = [
        finals[state] if ended and begun == phones else 0.0 for state, begun, ended, _ in walk.nodes
    ]
    before: dict[int, list[int]] = defaultdict(list)
    for source, target, *_ in walk.steps:
        before[target].append(source)
    useful = {number for number, weight in enumerate(ending) if weight > 0}
    stack = list(useful)
    while stack:
        new = [source for source in before[stack.pop()] if source not in useful]
        useful.update(new)
        stack += new
    if 0 not in useful:
        return None
    # The sort is stable, so that the initial node stays the first.
    kept = sorted(useful, key=lambda number: (walk.nodes[number][1], number))
    places = {number: place for place, number in enumerate(kept)}
    steps = sorted(
        (places[source], places[target], *more)
        for source, target, *more in walk.steps
        if source in places and target in places
    )
    columns = [np.asarray(column) for column in zip(*steps, strict=True)]
    return BoundaryGraph(
        np.asarray([walk.nodes[number][1] for number in kept]),
        np.asarray([ending[number] for number in kept]),
        np.asarray([not walk.nodes[number][3] for number in kept]),
        *columns,
    )
