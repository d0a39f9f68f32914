"""Searches for the best path of an utterance, through its transcript or through a decoding graph.

The libraries keep no references to what their objects are built on, and answer NaN with an error
count. Here every object holds what it needs, and bad scores become errors that name the utterance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.graph.fst import Fst
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.kaldi import kaldi_decoder, kaldifst
from asr_hf.hmm.kaldi import kaldi_hmm_gmm as khg
from asr_hf.hmm.scores import AlignmentError, ScoreColumns, Scores
from asr_hf.runtime.errors import RunError


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
    ready = kaldifst.StdVectorFst(graph)
    # Weak transition probabilities, as in Kaldi: with acoustic scores ten times too sure of
    # themselves, the self-loops' would otherwise decide little and cost much.
    khg.add_transition_probs(transitions.kaldi, [], 1.0, 0.1, ready)
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


class BestPathDecoder:
    """Beam search for the best word sequence; holds graph and transition model.

    Args:
        transitions: the transition model that the graph was made with.
        graph: a decoding graph.
        beam: log-probability width of the search.
        max_active: maximum number of states kept a frame.
    """

    def __init__(self, transitions: ScoreColumns, graph: Fst, beam: float, max_active: int) -> None:
        self._transitions = transitions
        self._graph = graph
        options = kaldi_decoder.FasterDecoderOptions(beam=beam, max_active=max_active)
        self._decoder = kaldi_decoder.FasterDecoder(graph, options)

    def decode(self, log_likelihoods: Scores, acoustic_scale: float, utterance: str) -> BestPath:
        """Search with scores [frames, pdfs].

        Returns:
            The best path; it may be partial.

        Raises:
            AlignmentError: the scores are bad.
            RunError: the search lost every path.
        """
        scores = self._transitions.columns(log_likelihoods, acoustic_scale, utterance)
        decodable = kaldi_decoder.DecodableCtc(scores)
        self._decoder.decode(decodable)
        # Without a final state reached, the best partial path is the answer, as in Kaldi.
        complete, lattice = self._decoder.get_best_path(use_final_probs=True)
        if not complete:
            raise RunError(f"{utterance}: the search lost every path", remedy="raise decode.beam")
        _, transition_ids, words, weight = kaldifst.get_linear_symbol_sequence(lattice)
        score = -(weight.value1 + weight.value2)
        return BestPath(np.asarray(transition_ids, np.int32), list(words), float(score))
