"""Sums of features for each state of each phone in each context, from which trees are grown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.graph.transitions import TransitionModel

Moments = NDArray[np.float64]

VARIANCE_FLOOR = 0.01


@dataclass(frozen=True)
class ContextStatistics:
    """Counts and moments of every context that was seen.

    Attributes:
        contexts: the phone before, the phone, the phone after and the state [items, 4]; 0 is the
            edge of an utterance.
        moments: number of frames, sum of features, sum of their squares [items, 1 + 2 dim].
    """

    contexts: NDArray[np.int64]
    moments: Moments


def states_in_context(
    transition_ids: NDArray[np.int32], transitions: TransitionModel
) -> NDArray[np.int64]:
    """Find each frame's phone before, phone, phone after and state.

    Args:
        transition_ids: a monophone alignment that reaches its end [frames].
        transitions: the monophones' transition model.

    Returns:
        The four numbers of each frame [frames, 4].
    """
    ends = transitions.is_final[transition_ids]
    segment = np.concatenate([[0], np.cumsum(ends)[:-1]])
    first = np.flatnonzero(np.concatenate([[True], ends[:-1]]))
    phones = transitions.phone_of[transition_ids[first]]
    padded = np.concatenate([[0], phones, [0]])
    # The pdfs of a monophone follow one another in the order of its states.
    lowest = np.full(int(transitions.phone_of.max()) + 1, transitions.num_pdfs)
    np.minimum.at(lowest, transitions.phone_of[1:], transitions.pdf_of[1:])
    states = transitions.pdf_of[transition_ids] - lowest[phones[segment]]
    return np.stack(
        [padded[segment], padded[segment + 1], padded[segment + 2], states], axis=1
    ).astype(np.int64)


def accumulate(
    contexts: NDArray[np.int64], features: NDArray[np.floating[Any]]
) -> tuple[ContextStatistics, NDArray[np.int64]]:
    """Sum up the features of each context.

    Args:
        contexts: context of each frame [frames, 4], from `states_in_context`.
        features: features [frames, dim].

    Returns:
        The statistics, and each frame's row in them [frames].
    """
    sizes = tuple(int(n) for n in contexts.max(axis=0) + 1)
    codes, rows = np.unique(np.ravel_multi_index(tuple(contexts.T), sizes), return_inverse=True)
    distinct = np.stack(np.unravel_index(codes, sizes), axis=1).astype(np.int64)
    dim = features.shape[1]
    moments = np.empty((len(codes), 1 + 2 * dim))
    moments[:, 0] = np.bincount(rows)
    for column in range(dim):
        x = features[:, column].astype(np.float64)
        moments[:, 1 + column] = np.bincount(rows, x)
        moments[:, 1 + dim + column] = np.bincount(rows, x * x)
    return ContextStatistics(distinct, moments), rows


def gaussian(moments: Moments) -> tuple[Moments, Moments]:
    """Compute means and floored variances, each [..., dim], of moments [..., 1 + 2 dim].

    Returns:
        The means and the variances; means of zero where there are no frames.
    """
    dim = moments.shape[-1] // 2
    count = np.maximum(moments[..., :1], 1e-10)
    means = moments[..., 1 : 1 + dim] / count
    variances = np.maximum(moments[..., 1 + dim :] / count - means**2, VARIANCE_FLOOR)
    return means, variances


def log_likelihood(moments: Moments) -> NDArray[np.float64]:
    """Compute the log likelihood of frames under their own Gaussian, but for a constant a frame.

    Odell, The Use of Context in Large Vocabulary Speech Recognition (1995), section 5.1.

    Args:
        moments: moments of the frames [..., 1 + 2 dim].

    Returns:
        Log likelihoods [...].
    """
    _, variances = gaussian(moments)
    total: NDArray[np.float64] = -0.5 * moments[..., 0] * np.log(variances).sum(axis=-1)
    return total


def questions(
    statistics: ContextStatistics, silence: Sequence[int], state: int = 1
) -> list[frozenset[int]]:
    """Find sets of phones that sound alike: what a tree may ask about a neighbour.

    Phones are merged two by two, the pair first that costs the least likelihood; each set on the
    way is a question, as are single phones. The edge of the utterance counts as silence.

    Args:
        statistics: counts and moments of all contexts.
        silence: phone ids that are no speech, the pause first; they are not merged with speech.
        state: the state whose frames are compared.

    Returns:
        The questions, each once.
    """
    compared = statistics.contexts[:, 3] == state
    phones = statistics.contexts[:, 1]
    speech = [int(p) for p in np.unique(phones) if p not in silence]
    sums = np.stack([statistics.moments[compared & (phones == p)].sum(axis=0) for p in speech])
    pause = frozenset([0, *silence[:1]])
    quiet = [pause, *(frozenset([p]) for p in silence[1:]), frozenset([0, *silence])]
    sets = [*quiet, *(frozenset([p]) for p in speech), *_merged(speech, sums)]
    return list(dict.fromkeys(sets))


def _merged(phones: Sequence[int], sums: Moments) -> list[frozenset[int]]:
    """Cluster `phones` with moments [phones, 1 + 2 dim], and list the sets on the way."""
    sets, sums, alive = [frozenset([p]) for p in phones], sums.copy(), np.arange(len(phones))
    alone = log_likelihood(sums)
    cost = np.full((len(sets), len(sets)), np.inf)
    for i in range(len(sets)):
        cost[i, i + 1 :] = alone[i] + alone[i + 1 :] - log_likelihood(sums[i] + sums[i + 1 :])
    clusters = []
    # The last merge would make the set of all, which asks nothing.
    while len(alive) > 2:
        i, j = (int(n) for n in np.unravel_index(cost.argmin(), cost.shape))
        sets[i] |= sets[j]
        clusters.append(sets[i])
        sums[i] += sums[j]
        alone[i] = log_likelihood(sums[i])
        cost[j, :] = cost[:, j] = np.inf
        alive = alive[alive != j]
        others = alive[alive != i]
        lost = alone[i] + alone[others] - log_likelihood(sums[i] + sums[others])
        cost[np.minimum(i, others), np.maximum(i, others)] = lost
    return clusters
