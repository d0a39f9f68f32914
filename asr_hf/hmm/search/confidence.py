"""The best path of a lattice with a confidence for each of its words."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.lattice import Lattice
from asr_hf.hmm.search.rescore import SearchWeights
from asr_hf.hmm.search.search import BestPath

# Frames by which the beginning of a word may differ between two paths that have it.
_LEAST_TOLERANCE = 5


@dataclass(frozen=True)
class ConfidentPath:
    """The best path of a lattice.

    Attributes:
        path: the path.
        frames: number of frames before each word's label [words].
        confidences: confidence of each word [words], in [0, 1].
    """

    path: BestPath
    frames: list[int]
    confidences: list[float]


def confident_path(lattice: Lattice, weights: SearchWeights) -> ConfidentPath:
    """Find the best path, and the posterior probability of each of its words.

    A word's confidence is the posterior probability of all arcs that have the word and begin at
    nearly the same time (after Wessel, Schlüter, Macherey & Ney 2001): at most half of the word's
    length away. Loops over arcs are plain, as numpy's calls would take longer.

    Args:
        lattice: a lattice whose acoustic scores are unscaled.
        weights: the weights.

    Returns:
        The best path.
    """
    scores, finals = _scores(lattice, weights)
    sources, targets = (lattice.arcs[name].tolist() for name in ("source", "target"))
    ahead = _summed(lattice.num_states, [(0, 0.0)], sources, targets, scores)
    behind = _summed(lattice.num_states, finals, targets[::-1], sources[::-1], scores[::-1])
    arcs, score = _best(lattice.num_states, sources, targets, scores, finals)
    labels, words = lattice.arcs["label"][arcs], lattice.arcs["word"][arcs]
    before = lattice.frame_of[lattice.arcs["source"][arcs]]
    path = BestPath(labels[labels > 0].astype(np.int32), words[words > 0].tolist(), score)
    frames = before[words > 0].tolist()
    with_word = np.flatnonzero(lattice.arcs["word"] > 0)
    through = [ahead[sources[a]] + scores[a] + behind[targets[a]] for a in with_word.tolist()]
    posteriors = np.exp(np.array(through) - behind[0])
    confidences = _confidences(lattice, with_word, posteriors, path.words, frames)
    return ConfidentPath(path, frames, confidences)


def _scores(
    lattice: Lattice, weights: SearchWeights
) -> tuple[list[float], list[tuple[int, float]]]:
    """Weigh the scores of the arcs [A], and of the final states."""
    arcs, finals = lattice.arcs, lattice.finals
    scores: NDArray[np.float64] = weights.acoustic_scale * arcs["acoustic"].astype(np.float64)
    scores += weights.lm_scale * arcs["graph"].astype(np.float64)
    scores -= weights.insertion_penalty * (arcs["word"] > 0)
    ends = weights.lm_scale * finals["graph"].astype(np.float64)
    return scores.tolist(), list(zip(finals["state"].tolist(), ends.tolist(), strict=True))


def _summed(
    num_states: int,
    starts: list[tuple[int, float]],
    sources: list[int],
    targets: list[int],
    scores: list[float],
) -> list[float]:
    """Sum the probabilities (natural logarithms) of the paths from some states to each other."""
    sums = [-math.inf] * num_states
    for state, score in starts:
        sums[state] = score
    for source, target, score in zip(sources, targets, scores, strict=True):
        new, old = sums[source] + score, sums[target]
        larger, smaller = (new, old) if new > old else (old, new)
        if smaller > -math.inf:
            larger += math.log1p(math.exp(smaller - larger))
        sums[target] = larger
    return sums


def _best(
    num_states: int,
    sources: list[int],
    targets: list[int],
    scores: list[float],
    finals: list[tuple[int, float]],
) -> tuple[NDArray[np.int64], float]:
    """Find the arcs of the best path, and its score."""
    best, entered_by = [-math.inf] * num_states, [-1] * num_states
    best[0] = 0.0
    for arc, (source, target, score) in enumerate(zip(sources, targets, scores, strict=True)):
        total = best[source] + score
        if total > best[target]:
            best[target], entered_by[target] = total, arc
    score, state = max((best[state] + end, -state) for state, end in finals)
    state, backwards = -state, []
    while state:
        backwards.append(entered_by[state])
        state = sources[backwards[-1]]
    return np.array(backwards[::-1], np.int64), score


def _confidences(
    lattice: Lattice,
    with_word: NDArray[np.int64],
    posteriors: NDArray[np.float64],
    words: list[int],
    frames: list[int],
) -> list[float]:
    arc_words = lattice.arcs["word"][with_word]
    arc_frames = lattice.frame_of[lattice.arcs["source"][with_word]]
    found = []
    ends = [*frames, lattice.num_frames][1:]
    for word, frame, end in zip(words, frames, ends, strict=True):
        near = np.abs(arc_frames - frame) <= max(_LEAST_TOLERANCE, (end - frame) // 2)
        total = float(posteriors[near & (arc_words == word)].sum())
        found.append(min(1.0, total))
    return found
