"""Entries of a denominator graph: its states, each with the pdf of the arcs that enter it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.denominator_graph import DenominatorGraph


class Entries(NamedTuple):
    """A denominator graph with its loops apart.

    In a phone's HMM a state is entered once from others and stays by a loop. So entry s is one of
    state s, and those from S to M are what further entries a state has. Loops have entries of their
    own, which are not counted here.

    Args:
        stay: weight of each state's loop [S]; 0 where it has none.
        stay_pdf: pdf of each state's loop [S].
        moves: the other arcs [A].
        entered: the entry of each of these [A].
        state: state of each entry [M].
        pdf: pdf of each entry [M].
    """

    stay: NDArray[np.float64]
    stay_pdf: NDArray[np.int64]
    moves: NDArray[Any]
    entered: NDArray[np.int64]
    state: NDArray[np.int64]
    pdf: NDArray[np.int64]


def entries_of(graph: DenominatorGraph) -> Entries:
    """Number the entries of a graph."""
    arcs = graph.arcs
    loops = np.flatnonzero(arcs["source"] == arcs["target"])
    # Further loops of a state, with other pdfs, are entries like others.
    looped, which = np.unique(arcs["source"][loops], return_index=True)
    loops = loops[which]
    stay, stay_pdf = np.zeros(graph.num_states), np.zeros(graph.num_states, np.int64)
    stay[looped], stay_pdf[looped] = arcs["weight"][loops], arcs["pdf"][loops]
    moves = np.delete(arcs, loops)
    return Entries(stay, stay_pdf, moves, *_numbered(moves, graph))


def _numbered(
    moves: NDArray[Any], graph: DenominatorGraph
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Number the entries of arcs so that entry s is one of state s.

    Returns:
        The entry of each arc [A], and the state and the pdf of each entry [M]. A state that no arc
        enters has one as well.
    """
    pairs = moves["target"].astype(np.int64) * graph.num_pdfs + moves["pdf"]
    found, entered = np.unique(pairs, return_inverse=True)
    state, pdf = np.divmod(found, graph.num_pdfs)
    reached, first = np.unique(state, return_index=True)
    number = np.full(len(found), -1)
    number[first] = reached
    further = np.flatnonzero(number < 0)
    number[further] = graph.num_states + np.arange(len(further))
    count = graph.num_states + len(further)
    states, pdfs = np.arange(count), np.zeros(count, np.int64)
    states[number], pdfs[number] = state, pdf
    return number[entered], states, pdfs
