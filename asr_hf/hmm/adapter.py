"""Kaldi's HMM pieces behind one wall: transition model, training graphs, alignment, decoding.

The libraries keep no references to what their objects are built on, do not check the shape of a
score matrix, and answer NaN with an error count. Here every object holds what it needs, and bad
scores become errors that name the utterance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm import fst as fsts
from asr_hf.hmm.fst import Fst
from asr_hf.hmm.kaldi import kaldi_decoder, kaldifst
from asr_hf.hmm.kaldi import kaldi_hmm_gmm as khg
from asr_hf.runtime.errors import InputError, RunError

Scores = NDArray[np.floating[Any]]


class AlignmentError(InputError):
    """One utterance cannot be aligned or decoded; the caller may skip it."""


@dataclass(frozen=True)
class BestPath:
    """The best path of one utterance.

    Attributes:
        transition_ids: int32 [frames].
        words: word ids.
        score: log probability of the path, acoustic part scaled.
    """

    transition_ids: NDArray[np.int32]
    words: list[int]
    score: float


class TransitionModel:
    """A monophone transition model: which pdf, phone and probability each transition id has.

    The transition ids follow from the topology alone, so that topology and log probabilities
    restore it.

    Args:
        topology: in Kaldi's text form.
        log_probs: natural logarithms [transition ids + 1], entry 0 unused; the topology's own
            when None.

    Attributes:
        pdf_of, phone_of: int32 [transition ids + 1].
        is_self_loop, is_final: bool [transition ids + 1]; a final transition ends its phone.
    """

    def __init__(self, topology: str, log_probs: NDArray[np.float32] | None = None) -> None:
        self.topology = topology
        self._topo = khg.HmmTopology()
        try:
            self._topo.read(topology)
            self._topo.check()
            counts = self._topo.get_phone_to_num_pdf_classes()
            self._tree = khg.monophone_context_dependency(list(self._topo.phones), counts)
            self._model = khg.TransitionModel(self._tree, self._topo)
        except RuntimeError as error:
            raise InputError(f"HMM topology refused: {error}") from error
        self.num_pdfs = int(self._model.num_pdfs)
        self.num_transition_ids = int(self._model.num_transition_ids)
        ids = range(1, self.num_transition_ids + 1)
        self.pdf_of = np.asarray(self._model.transition_id_to_pdf_array(), np.int32)
        self.phone_of = np.asarray(
            [0] + [self._model.transition_id_to_phone(i) for i in ids], np.int32
        )
        self.is_self_loop = np.asarray([False] + [self._model.is_self_loop(i) for i in ids])
        self.is_final = np.asarray([False] + [self._model.is_final(i) for i in ids])
        if log_probs is not None:
            self._set_log_probs(log_probs)

    @property
    def log_probs(self) -> NDArray[np.float32]:
        """Log probability of each transition [transition ids + 1]."""
        return np.asarray(self._model.log_probs, np.float32).reshape(-1)

    @property
    def state_of(self) -> NDArray[np.int32]:
        """Transition state of each transition id [transition ids + 1]."""
        return np.asarray(self._model.id2state, np.int32)

    def pdfs_of_phone(self, phone: int) -> NDArray[np.int32]:
        """The pdfs of a phone id in the order of its states [states]."""
        return np.unique(self.pdf_of[1:][self.phone_of[1:] == phone])

    def _set_log_probs(self, log_probs: NDArray[np.float32]) -> None:
        if log_probs.shape != (self.num_transition_ids + 1,) or not np.isfinite(log_probs).all():
            raise InputError(
                f"transition model: {log_probs.shape[0] - 1} log probabilities",
                expected=f"{self.num_transition_ids} finite numbers for this topology",
                remedy="remove the align folder and run asr-hf align again",
            )
        self_loop = np.zeros(int(self._model.num_transition_states) + 1)
        loops = np.flatnonzero(self.is_self_loop)
        self_loop[self.state_of[loops]] = np.exp(log_probs[loops].astype(np.float64))
        state = list(self._model.__getstate__())
        state[6] = [float(x) for x in log_probs]
        state[7] = [0.0, *np.log1p(-self_loop[1:]).tolist()]
        restored = khg.TransitionModel.__new__(khg.TransitionModel)
        restored.__setstate__(tuple(state))
        self._model = restored

    def update(self, counts: NDArray[np.int64]) -> None:
        """Set the probabilities from the transitions' counts [transition ids + 1] (floor 0.01)."""
        self._model.mle_update(counts.astype(np.float64), khg.MleTransitionUpdateConfig())
        # The derived probabilities then equal, to the last bit, those of a model read from disk.
        self._set_log_probs(self.log_probs)

    def decoding_graph(self, lexicon_grammar: Fst, disambiguation: Sequence[int]) -> Fst:
        """H ∘ C ∘ (L ∘ G): a graph whose inputs are transition ids and outputs are words.

        Args:
            lexicon_grammar: LG, its inputs phones and the `disambiguation` symbols.
            disambiguation: ids of those symbols.
        """
        context, labels = kaldifst.compose_context(
            disambig_syms=list(disambiguation),
            context_width=self._tree.context_width,
            central_position=self._tree.central_position,
            ifst=lexicon_grammar,
        )
        h, extra = khg.get_h_transducer(labels, self._tree, self._model, khg.HTransducerConfig())
        graph = fsts.optimise(fsts.compose(h, context), "decoding graph")
        graph = fsts.remove_input_symbols(graph, extra, self.num_transition_ids)
        kaldifst.minimize_encoded(graph)
        return khg.add_self_loops(
            self_loop_scale=1.0,
            disambig_syms=[],
            reorder=False,
            trans_model=self._model,
            ifst=graph,
        )

    def align(
        self,
        graph: Fst,
        log_likelihoods: Scores,
        utterance: str,
        *,
        acoustic_scale: float,
        beams: tuple[float, float],
    ) -> BestPath:
        """The best path through a training graph.

        Args:
            graph: from `TrainingGraphs.compile`, without transition probabilities.
            log_likelihoods: [frames, pdfs].
            utterance: its name, for messages.
            acoustic_scale: weight of the log likelihoods.
            beams: of the first try and of the second.

        Raises:
            AlignmentError: no path reaches the end, or the scores are bad.
        """
        decodable = khg.DecodableCtc(self._expand(log_likelihoods, acoustic_scale, utterance))
        ready = kaldifst.StdVectorFst(graph)
        # Weak transition probabilities, as in Kaldi: with acoustic scores ten times too sure of
        # themselves, the self-loops' would otherwise decide little and cost much.
        khg.add_transition_probs(self._model, [], 1.0, 0.1, ready)
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

    def _expand(self, log_likelihoods: Scores, scale: float, utterance: str) -> Scores:
        check_scores(log_likelihoods, self.num_pdfs, utterance)
        scaled = (scale * log_likelihoods).astype(np.float32, copy=False)
        return np.ascontiguousarray(scaled[:, self.pdf_of[1:]])


def check_scores(log_likelihoods: Scores, num_pdfs: int, utterance: str) -> None:
    """Refuse a score matrix the decoders would misread.

    Raises:
        AlignmentError: it is not [frames >= 1, num_pdfs], or has NaN or infinite entries.
    """
    shape = log_likelihoods.shape
    if len(shape) != 2 or shape[1] != num_pdfs:
        raise AlignmentError(
            f"{utterance}: scores of shape {list(shape)}",
            expected=f"[frames, {num_pdfs}], one column a pdf of the HMMs",
            remedy="align and train again: model and alignment belong to different HMMs",
        )
    if shape[0] == 0:
        raise AlignmentError(
            f"{utterance}: no frames", expected="at least one", remedy="remove it from the set"
        )
    if not np.isfinite(log_likelihoods).all():
        frame = int(np.flatnonzero(~np.isfinite(log_likelihoods).all(axis=1))[0])
        raise AlignmentError(
            f"{utterance}: NaN or infinite score in frame {frame}",
            expected="finite log likelihoods",
            remedy="check the features and the model",
        )


class TrainingGraphs:
    """Compiles transcripts of one language into graphs; holds all that the compiler uses.

    Args:
        transitions: the transition model.
        lexicon: L without disambiguation symbols.
    """

    def __init__(self, transitions: TransitionModel, lexicon: Fst) -> None:
        self._transitions = transitions
        self._lexicon = fsts.sort(lexicon, "olabel")
        options = khg.TrainingGraphCompilerOptions(
            transition_scale=0.0, self_loop_scale=0.0, reorder=False
        )
        self._compiler = khg.TrainingGraphCompiler(
            transitions._model, transitions._tree, self._lexicon, [], options
        )

    def compile(self, words: Sequence[int], utterance: str) -> Fst:
        """The graph of a transcript given by word ids.

        Raises:
            AlignmentError: the transcript is empty or not in the lexicon.
        """
        if not words:
            raise AlignmentError(
                f"{utterance}: empty transcript", remedy="remove the utterance or give its words"
            )
        graph = self._compiler.compile_graph_from_text(list(words))
        if graph.start < 0:
            raise AlignmentError(
                f"{utterance}: no graph for its transcript",
                expected="words of the lexicon",
                remedy="check lexicon and text",
            )
        return graph


class BestPathDecoder:
    """Beam search for the best word sequence; holds graph and transition model.

    Args:
        transitions: the transition model the graph was made with.
        graph: a decoding graph.
        beam: log-probability width of the search.
        max_active: the most states kept a frame.
    """

    def __init__(
        self, transitions: TransitionModel, graph: Fst, beam: float, max_active: int
    ) -> None:
        self._transitions = transitions
        self._graph = graph
        options = kaldi_decoder.FasterDecoderOptions(beam=beam, max_active=max_active)
        self._decoder = kaldi_decoder.FasterDecoder(graph, options)

    def decode(self, log_likelihoods: Scores, acoustic_scale: float, utterance: str) -> BestPath:
        """The best path for scores [frames, pdfs].

        Raises:
            AlignmentError: the scores are bad.
            RunError: the search lost every path.
        """
        scores = self._transitions._expand(log_likelihoods, acoustic_scale, utterance)
        decodable = kaldi_decoder.DecodableCtc(scores)
        self._decoder.decode(decodable)
        # Without a final state reached, the best partial path is the answer, as in Kaldi.
        found, lattice = self._decoder.get_best_path(use_final_probs=True)
        if not found:
            raise RunError(f"{utterance}: the search lost every path", remedy="raise decode.beam")
        _, transition_ids, words, weight = kaldifst.get_linear_symbol_sequence(lattice)
        score = -(weight.value1 + weight.value2)
        return BestPath(np.asarray(transition_ids, np.int32), list(words), float(score))
