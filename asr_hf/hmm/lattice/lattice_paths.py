"""Paths of a lattice: the best, their number, the nearest to the reference.

Plain loops over the arcs: at the ten to thirty arcs a frame that lattices have, numpy's calls for
each level of a lattice would take longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.lattice import FINAL, Lattice


def arc_scores(lattice: Lattice, acoustic_scale: float) -> NDArray[np.float64]:
    """Compute the scores of the arcs [A]: scale * acoustic + graph."""
    arcs = lattice.arcs
    scores: NDArray[np.float64] = acoustic_scale * arcs["acoustic"].astype(np.float64)
    scores += arcs["graph"]
    return scores


def best_path(lattice: Lattice, acoustic_scale: float) -> Lattice:
    """Find the best path, as a lattice of one path."""
    scores = arc_scores(lattice, acoustic_scale)
    behind = _behind(lattice, scores)
    targets = lattice.arcs["target"]
    firsts = np.searchsorted(lattice.arcs["source"], np.arange(lattice.num_states + 1))
    final = dict(zip(lattice.finals["state"].tolist(), lattice.finals["graph"], strict=True))
    chosen, state = [], 0
    while state not in final or final[state] < behind[state]:
        leaving = slice(firsts[state], firsts[state + 1])
        best = firsts[state] + int(np.argmax(scores[leaving] + behind[targets[leaving]]))
        chosen.append(best)
        state = int(targets[best])
    arcs = lattice.arcs[chosen]
    frame_of = lattice.frame_of[np.append(arcs["source"], state)]
    arcs["source"], arcs["target"] = np.arange(len(arcs)), np.arange(1, len(arcs) + 1)
    finals = np.array([(len(arcs), final[state])], FINAL)
    return Lattice(lattice.utterance, arcs, frame_of, finals)


def log_paths(lattice: Lattice) -> float:
    """Compute the natural logarithm of the number of paths."""
    behind = [-math.inf] * lattice.num_states
    for state in lattice.finals["state"].tolist():
        behind[state] = 0.0
    sources, targets = (lattice.arcs[name].tolist() for name in ("source", "target"))
    for source, target in zip(reversed(sources), reversed(targets), strict=True):
        larger, smaller = behind[source], behind[target]
        if larger < smaller:
            larger, smaller = smaller, larger
        behind[source] = larger + math.log1p(math.exp(smaller - larger))
    return behind[0]


def oracle_errors(lattice: Lattice, reference: Sequence[int]) -> int:
    """Count the word errors (Levenshtein) of the path nearest to the reference.

    Every state carries the fewest errors of its paths against each beginning of the reference
    [words + 1]; an arc's word makes one row of the edit distance's table out of another.

    Returns:
        The number of errors.
    """
    words = np.asarray(reference, np.int64)
    ramp = np.arange(len(words) + 1)
    rows: list[NDArray[Any] | None] = [None] * lattice.num_states
    rows[0] = ramp
    columns = (lattice.arcs[name].tolist() for name in ("source", "target", "word"))
    for source, target, word in zip(*columns, strict=True):
        row, previous = rows[source], rows[target]
        assert row is not None
        if word:
            row = _next_row(row, words != word, ramp)
        rows[target] = row if previous is None else np.minimum(previous, row)
    ends = [rows[state] for state in lattice.finals["state"].tolist()]
    return min(int(row[-1]) for row in ends if row is not None)


def _next_row(row: NDArray[Any], differs: NDArray[np.bool_], ramp: NDArray[Any]) -> NDArray[Any]:
    """Compute the table's row after one more word: an insertion, a match or not, then deletions."""
    following = row + 1
    np.minimum(following[1:], row[:-1] + differs, out=following[1:])
    deleted: NDArray[Any] = np.minimum.accumulate(following - ramp) + ramp
    return deleted


def _behind(lattice: Lattice, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score the best path from each state [S] to the end."""
    best = [-math.inf] * lattice.num_states
    for state, score in zip(*(lattice.finals[n].tolist() for n in FINAL.names or ()), strict=True):
        best[state] = score
    columns = (lattice.arcs["source"].tolist(), lattice.arcs["target"].tolist(), scores.tolist())
    for source, target, score in zip(*(reversed(c) for c in columns), strict=True):
        total = best[target] + score
        if total > best[source]:
            best[source] = total
    return np.asarray(best)
