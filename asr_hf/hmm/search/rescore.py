"""The best paths of a lattice under many weights at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.lattice import Lattice
from asr_hf.hmm.search.raw_lattice import depths
from asr_hf.hmm.search.search import BestPath

# Scores of arcs under different weights that are held at once: about 100 MB.
_MAX_SCORES = 4 * 2**20


@dataclass(frozen=True, order=True)
class SearchWeights:
    """Weights of a search.

    A graph score holds language model, lexicon and transitions, as in Kaldi; up to the insertion
    penalty only the ratio of the two scales matters.

    Attributes:
        acoustic_scale: factor on the log likelihoods.
        insertion_penalty: cost added for each word, natural logarithm.
        lm_scale: factor on the graph's scores.
    """

    acoustic_scale: float
    insertion_penalty: float = 0.0
    lm_scale: float = 1.0

    def __str__(self) -> str:
        return (
            f"acoustic scale {self.acoustic_scale:g}, insertion penalty "
            f"{self.insertion_penalty:g}, language model scale {self.lm_scale:g}"
        )


def best_paths(lattice: Lattice, weights: Sequence[SearchWeights]) -> list[BestPath]:
    """Find the best path under each of the weights, by Viterbi passes over the lattice's levels.

    Args:
        lattice: a lattice whose acoustic scores are unscaled.
        weights: the weights [K].

    Returns:
        The best paths [K].
    """
    # Each pass takes as many of the weights as the memory allows.
    count = max(1, _MAX_SCORES // len(lattice.arcs))
    level = _levels(lattice)
    return [
        path
        for first in range(0, len(weights), count)
        for path in _best_paths(lattice, level, weights[first:][:count])
    ]


def _best_paths(
    lattice: Lattice, level: NDArray[np.int64], weights: Sequence[SearchWeights]
) -> list[BestPath]:
    arcs = lattice.arcs
    acoustic, penalty, lm = (
        np.array([getattr(each, name) for each in weights], np.float64)
        for name in ("acoustic_scale", "insertion_penalty", "lm_scale")
    )
    scores = np.multiply.outer(arcs["acoustic"].astype(np.float64), acoustic)
    scores += np.multiply.outer(arcs["graph"].astype(np.float64), lm)
    scores -= np.multiply.outer((arcs["word"] > 0).astype(np.float64), penalty)
    best, entered_by = _viterbi(lattice, level, scores)
    finals = lattice.finals
    ends = best[finals["state"]] + np.multiply.outer(finals["graph"].astype(np.float64), lm)
    chosen = ends.argmax(axis=0)
    states = finals["state"][chosen].astype(np.int64)
    steps = _trace(arcs["source"], entered_by, states)
    totals = ends[chosen, np.arange(len(weights))]
    return [_path(arcs, steps[:, k], float(totals[k])) for k in range(len(weights))]


def _viterbi(
    lattice: Lattice, level: NDArray[np.int64], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the best score of each state [S, K], and the arc that reaches it so, -1 at the start."""
    arcs, states, num_weights = lattice.arcs, lattice.num_states, scores.shape[1]
    order = np.lexsort((arcs["target"], level[arcs["target"]]))
    target = arcs["target"][order]
    # Where the arcs into another state begin, and where another level's do.
    heads = np.flatnonzero(np.diff(target, prepend=-1))
    cuts = np.flatnonzero(np.diff(level[target[heads]], prepend=-1))
    best = np.zeros((states, num_weights))
    entered_by = np.full((states, num_weights), -1)
    for first, last in zip(cuts, np.append(cuts[1:], len(heads)), strict=True):
        begin, end = heads[first], heads[last] if last < len(heads) else len(order)
        entering = order[begin:end]
        starts = heads[first:last] - begin
        reached = target[heads[first:last]]
        values = best[arcs["source"][entering]] + scores[entering]
        top = np.maximum.reduceat(values, starts, axis=0)
        best[reached] = top
        sizes = np.diff(np.append(starts, end - begin))
        is_top = values == np.repeat(top, sizes, axis=0)
        numbers = np.where(is_top, entering[:, None], len(order))
        entered_by[reached] = np.minimum.reduceat(numbers, starts, axis=0)
    return best, entered_by


def _levels(lattice: Lattice) -> NDArray[np.int64]:
    """Number the states so that every arc leads to a higher level, with the fewest levels."""
    still = lattice.arcs["label"] == 0
    source, target = (lattice.arcs[name][still].astype(np.int64) for name in ("source", "target"))
    depth = depths(lattice.num_states, source, target, lattice.utterance)
    levels: NDArray[np.int64] = lattice.frame_of * (depth.max() + 1) + depth
    return levels


def _trace(
    source: NDArray[Any], entered_by: NDArray[np.int64], states: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Trace each path back: arcs from the last to the first [steps, K], -1 after its start."""
    columns = np.arange(len(states))
    steps: list[NDArray[np.int64]] = []
    while True:
        arc = entered_by[states, columns]
        if (arc < 0).all():
            return np.array(steps).reshape(-1, len(states))
        steps.append(arc)
        states = np.where(arc < 0, 0, source[arc])


def _path(arcs: NDArray[Any], backwards: NDArray[np.int64], score: float) -> BestPath:
    chosen = arcs[backwards[backwards >= 0][::-1]]
    labels, words = chosen["label"], chosen["word"]
    return BestPath(
        labels[labels > 0].astype(np.int32), [int(word) for word in words if word], score
    )
