"""What the HMM states of a phone stand for where every k-th frame is emitted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.graph.lexicon import SymbolTable
from asr_hf.hmm.graph.topology import sampled_topology_text
from asr_hf.kaldi.tree import ContextDependency

FIRST = 0
# Probability that a phone of lattice-free MMI goes on after a frame.
STAYS = 0.5


class SampledStates(ABC):
    """The states of a phone, the labels of its frames, and the paths through it.

    Attributes:
        count: number of states of a phone.
        neighbours: places in the context of the phones that a tree may ask about: 0 for the one
            before, 2 for the one after.
        trained: whether the probabilities of transitions are those of the training data.
    """

    count: int
    neighbours: tuple[int, ...]
    trained: bool

    @staticmethod
    def of(tree: ContextDependency) -> SampledStates:
        """Return the states whose contexts a tree has."""
        return CHAIN if tree.width == 2 else EDGES

    @abstractmethod
    def of_frames(self, frames: int, every: int) -> NDArray[np.int64]:
        """Return the state of each frame of a phone at the full rate [frames]."""

    @abstractmethod
    def path(self, frames: int) -> list[int]:
        """Return the states that a phone of some emitted frames goes through [frames]."""

    @abstractmethod
    def topology(self, phones: SymbolTable) -> str:
        """Write the topology of every phone in Kaldi's text form."""

    def steps(self, frames: int) -> list[tuple[int, int]]:
        """Return each state of a phone of some emitted frames, and the next one."""
        return list(pairwise([*self.path(frames), self.count])) if frames else []


class _Edges(SampledStates):
    """The first frame of a phone, its last one, and those between.

    At the full rate the first k frames count as its first, the last k of the others as its last.
    Whichever every k-th frames are taken, just one of the first k is among them, and just one of
    the last k.
    """

    count, neighbours, trained = 3, (0, 2), True

    def of_frames(self, frames: int, every: int) -> NDArray[np.int64]:
        states = np.full(frames, 1)
        states[max(frames - every, 0) :] = 2
        states[:every] = FIRST
        return states

    def path(self, frames: int) -> list[int]:
        return [FIRST, *[1] * (frames - 2), 2] if frames > 1 else [FIRST] * frames

    def topology(self, phones: SymbolTable) -> str:
        arcs: Sequence[dict[int, float]]
        arcs = [{1: 1 / 3, 2: 1 / 3, 3: 1 / 3}, {1: 0.5, 2: 0.5}, {3: 1.0}]
        return sampled_topology_text(phones, arcs)


class _Chain(SampledStates):
    """The first frame of a phone, and the others (Povey et al. 2016, section 2.4).

    The phone after is not asked about, so that the past alone tells the pdf of a frame.
    Probabilities of transitions stay what they are: the network's outputs learn them.
    """

    count, neighbours, trained = 2, (0,), False

    def of_frames(self, frames: int, every: int) -> NDArray[np.int64]:
        states = np.ones(frames, np.int64)
        states[:every] = FIRST
        return states

    def path(self, frames: int) -> list[int]:
        return [FIRST, *[1] * (frames - 1)][:frames]

    def topology(self, phones: SymbolTable) -> str:
        return sampled_topology_text(phones, [{1: STAYS, 2: 1 - STAYS}] * self.count)


EDGES: SampledStates = _Edges()
CHAIN: SampledStates = _Chain()
