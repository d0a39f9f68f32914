"""Searches for the best path of an utterance through its transcript.

The library answers NaN with an error count. Here bad scores become errors that name the utterance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.graph.fst import Fst
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.kaldi import kaldi_hmm_gmm as khg
from asr_hf.hmm.kaldi import kaldifst
from asr_hf.hmm.scores import AlignmentError, Scores


@dataclass(frozen=True)
class BestPath:
    """The best path of one utterance.

    Attributes:
        transition_ids: int32 [frames].
        words: word ids.
        score: log probability of the path, its acoustic part scaled.
    """

    transition_ids: NDArray[np.int32]
    words: list[int]
    score: float


def with_transition_probs(transitions: TransitionModel, graph: Fst) -> Fst:
    """Return a copy of a training graph with the probabilities of its transitions."""
    ready = kaldifst.StdVectorFst(graph)
    # Weak transition probabilities, as in Kaldi: with acoustic scores ten times too sure of
    # themselves, the self-loops' would otherwise decide little and cost much.
    khg.add_transition_probs(transitions.kaldi, [], 1.0, 0.1, ready)
    return ready


def align(
    transitions: TransitionModel,
    graph: Fst,
    log_likelihoods: Scores,
    utterance: str,
    *,
    acoustic_scale: float,
    beams: tuple[float, float],
) -> BestPath:
    """Find the best path through a training graph.

    Args:
        transitions: the transition model that the graph was made with.
        graph: a graph from `TrainingGraphs.compile`, without transition probabilities.
        log_likelihoods: scores [frames, pdfs].
        utterance: the utterance's name, for messages.
        acoustic_scale: weight of the log likelihoods.
        beams: widths of the first and the second try.

    Returns:
        The path.

    Raises:
        AlignmentError: no path reaches the end, or the scores are bad.
    """
    decodable = khg.DecodableCtc(transitions.columns(log_likelihoods, acoustic_scale, utterance))
    ready = with_transition_probs(transitions, graph)
    config = khg.AlignConfig(beam=beams[0], retry_beam=beams[1], careful=False)
    done, _, _, score, _, transition_ids, words = khg.align_utterance_wrapper(
        config, utterance, acoustic_scale, ready, decodable, 0, 0, 0, 0.0, 0
    )
    frames = len(log_likelihoods)
    if done != 1 or len(transition_ids) != frames:
        raise AlignmentError(
            f"{utterance}: no path through its transcript in {frames} frames",
            expected="a recording long enough for its words (three frames a phone)",
            remedy="check its transcript, or raise alignment.retry_beam",
        )
    return BestPath(np.asarray(transition_ids, np.int32), list(words), float(score))
