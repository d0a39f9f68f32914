"""A decoding graph as arrays, which the search looks many arcs up in at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.graph.fst_file import FstArrays

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class ArcTable:
    """Arcs in the order of the states that they leave.

    Attributes:
        first: number of each state's first arc [S].
        count: number of each state's arcs [S].
        label: transition id of each arc [A], 0 where it takes no frame.
        word: word id of each arc [A], 0 for none.
        cost: negated graph score of each arc [A], float32.
        target: state that each arc enters [A].
    """

    first: Indices
    count: Indices
    label: NDArray[np.int32]
    word: NDArray[np.int32]
    cost: NDArray[np.float32]
    target: Indices

    def leaving(self, states: NDArray[np.integer]) -> tuple[Indices, Indices]:
        """List the arcs that leave `states` [n].

        Returns:
            The place in `states` of the state that each arc leaves, in ascending order, and the
            number of each arc.
        """
        counts = self.count[states]
        ends = counts.cumsum()
        places = np.arange(len(states)).repeat(counts)
        arcs = np.arange(len(places))
        arcs += (self.first[states] - ends + counts)[places]
        return places, arcs


@dataclass(frozen=True)
class SearchGraph:
    """A decoding graph.

    Attributes:
        start: the initial state.
        finals: cost of ending in each state [S], float32, infinity where no path may end.
        emitting: the arcs that take a frame.
        still: the arcs that take none.
    """

    start: int
    finals: NDArray[np.float32]
    emitting: ArcTable
    still: ArcTable

    @classmethod
    def of(cls, fst: FstArrays) -> SearchGraph:
        """Part the arcs of a transducer into those that take a frame and those that do not."""
        sources = np.repeat(np.arange(len(fst.counts)), fst.counts)
        emits = fst.arcs[:, 0] > 0
        tables = (_table(fst, sources, np.flatnonzero(which)) for which in (emits, ~emits))
        return cls(fst.start, fst.finals, *tables)

    @property
    def num_states(self) -> int:
        """The number of states."""
        return len(self.finals)


def _table(fst: FstArrays, sources: Indices, arcs: Indices) -> ArcTable:
    counts = np.bincount(sources[arcs], minlength=len(fst.counts))
    label, word, cost, target = (np.ascontiguousarray(column) for column in fst.arcs[arcs].T)
    # Places of 64 bits are looked up faster.
    places = target.astype(np.int64)
    first = np.cumsum(counts) - counts
    return ArcTable(first, counts, label, word, cost.view(np.float32), places)
