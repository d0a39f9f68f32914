"""Transition models: which pdf, phone and probability each transition id of the graphs has."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.fst import Fst
from asr_hf.hmm.kaldi import kaldi_hmm_gmm as khg
from asr_hf.hmm.scores import Scores, check_scores
from asr_hf.kaldi.tree import ContextDependency
from asr_hf.runtime.errors import InputError


class TransitionModel:
    """The transition model of monophones, or of states that a tree ties across contexts.

    The transition ids follow from topology and tree alone, so that these and the log probabilities
    restore it. They are numbered as Kaldi's are: by phone, state and pdf.

    Args:
        topology: the topology in Kaldi's text form.
        log_probs: natural logarithms [transition ids + 1], entry 0 unused; the topology's own
            when None.
        tree: pdfs of phones in context; None for monophones.

    Attributes:
        pdf_of, phone_of: int32 [transition ids + 1].
        is_self_loop, is_final: bool [transition ids + 1]; a final transition ends its phone.

    Raises:
        InputError: the topology is refused, the tree is for other phones, or there are not as many
            probabilities as transition ids.
    """

    def __init__(
        self,
        topology: str,
        log_probs: NDArray[np.float32] | None = None,
        tree: ContextDependency | None = None,
    ) -> None:
        self.topology, self.tree = topology, tree
        topo = khg.HmmTopology()
        try:
            topo.read(topology)
            topo.check()
            counts = topo.get_phone_to_num_pdf_classes()
            self.monophones = khg.monophone_context_dependency(list(topo.phones), counts)
            self.kaldi = khg.TransitionModel(self.monophones, topo)
        except RuntimeError as error:
            raise InputError(f"HMM topology refused: {error}") from error
        if tree is not None:
            self.kaldi = _tied(self.kaldi, tree)
        self.num_pdfs = int(self.kaldi.num_pdfs)
        self.num_transition_ids = int(self.kaldi.num_transition_ids)
        ids = range(1, self.num_transition_ids + 1)
        self.pdf_of = np.asarray(self.kaldi.transition_id_to_pdf_array(), np.int32)
        self.phone_of = np.asarray(
            [0] + [self.kaldi.transition_id_to_phone(i) for i in ids], np.int32
        )
        self.is_self_loop = np.asarray([False] + [self.kaldi.is_self_loop(i) for i in ids])
        self.is_final = np.asarray([False] + [self.kaldi.is_final(i) for i in ids])
        if log_probs is not None:
            self.set_log_probs(log_probs)

    @property
    def log_probs(self) -> NDArray[np.float32]:
        """Log probability of each transition [transition ids + 1]."""
        return np.asarray(self.kaldi.log_probs, np.float32).reshape(-1)

    @property
    def state_of(self) -> NDArray[np.int32]:
        """Transition state of each transition id [transition ids + 1]."""
        return np.asarray(self.kaldi.id2state, np.int32)

    @property
    def states(self) -> list[tuple[int, int, int, int]]:
        """Phone, HMM state, and pdf twice, of each transition state; as Kaldi's files have them.

        A state's transitions have numbers one behind the other, in the order of the topology.
        """
        return [state.__getstate__() for state in self.kaldi.__getstate__()[0]]

    @property
    def numbers(self) -> dict[tuple[int, int, int], dict[int, int]]:
        """The transition ids of each phone, HMM state and pdf, by the state that they lead to."""
        _, topo, first, *_ = self.kaldi.__getstate__()
        targets = {
            phone: [[to for to, _ in state.transitions] for state in topo.topology_for_phone(phone)]
            for phone in topo.phones
        }
        return {
            (phone, state, pdf): {to: first[n] + i for i, to in enumerate(targets[phone][state])}
            for n, (phone, state, pdf, _) in enumerate(self.states, 1)
        }

    def pdfs_of_phone(self, phone: int) -> NDArray[np.int32]:
        """List the pdfs of a phone id, rising; a monophone's are in the order of its states."""
        return np.unique(self.pdf_of[1:][self.phone_of[1:] == phone])

    def pdfs_in(self, graph: Fst) -> NDArray[np.int32]:
        """List every pdf that a graph over transition ids has, rising."""
        return np.unique(self.pdf_of[sorted(fsts.input_labels(graph) - {0})])

    def columns(self, log_likelihoods: Scores, scale: float, utterance: str) -> Scores:
        """Scale the scores and spread them over the transition ids.

        Args:
            log_likelihoods: scores [frames, pdfs].
            scale: weight of the scores.
            utterance: the utterance's name, for messages.

        Returns:
            Scaled scores for each transition id, float32 [frames, transition ids].

        Raises:
            AlignmentError: the scores are bad.
        """
        check_scores(log_likelihoods, self.num_pdfs, utterance)
        scaled = (scale * log_likelihoods).astype(np.float32, copy=False)
        return np.ascontiguousarray(scaled[:, self.pdf_of[1:]])

    def __reduce__(self) -> tuple[Any, ...]:
        return TransitionModel, (self.topology, self.log_probs, self.tree)

    def set_log_probs(self, log_probs: NDArray[np.float32]) -> None:
        """Set the log probabilities [transition ids + 1].

        Raises:
            InputError: there are not as many as transition ids, or they are not finite.
        """
        if log_probs.shape != (self.num_transition_ids + 1,) or not np.isfinite(log_probs).all():
            raise InputError(
                f"transition model: {log_probs.shape[0] - 1} log probabilities",
                expected=f"{self.num_transition_ids} finite numbers for this topology",
                remedy="remove the align folder and run asr-hf align again",
            )
        self_loop = np.zeros(int(self.kaldi.num_transition_states) + 1)
        loops = np.flatnonzero(self.is_self_loop)
        self_loop[self.state_of[loops]] = np.exp(log_probs[loops].astype(np.float64))
        state = list(self.kaldi.__getstate__())
        state[6] = [float(x) for x in log_probs]
        state[7] = [0.0, *np.log1p(-self_loop[1:]).tolist()]
        self.kaldi = _restored(state)

    def update(self, counts: NDArray[np.int64]) -> None:
        """Set the probabilities from counts of transitions [transition ids + 1] (floor 0.01)."""
        self.kaldi.mle_update(counts.astype(np.float64), khg.MleTransitionUpdateConfig())
        # The derived probabilities then equal, to the last bit, those of a model read from disk.
        self.set_log_probs(self.log_probs)


def _tied(monophones: Any, tree: ContextDependency) -> Any:
    """Make Kaldi's model for a tree: each state of a monophone once for every pdf it may have.

    The library makes models of monophones alone, but restores any from its parts.

    Returns:
        The library's transition model.
    """
    states, topo, first, _, _, _, log_probs, leaving = monophones.__getstate__()
    tuples, starts, state_of, pdf_of = [], [0], [0], [0]
    all_log_probs, all_leaving = [0.0], [0.0]
    for number, state_tuple in enumerate(states, 1):
        phone, state, *_ = state_tuple.__getstate__()
        pdf_class = topo.topology_for_phone(phone)[state].forward_pdf_class
        for pdf in tree.possible_pdfs(phone, pdf_class):
            tuples.append(type(state_tuple)(phone, state, pdf, pdf))
            starts.append(len(state_of))
            transitions = slice(first[number], first[number + 1])
            all_log_probs += log_probs[transitions]
            all_leaving.append(leaving[number])
            state_of += [len(tuples)] * (transitions.stop - transitions.start)
            pdf_of += [pdf] * (transitions.stop - transitions.start)
    _check_fit(tree, states, [t.__getstate__() for t in tuples])
    starts.append(len(state_of))
    return _restored(
        [tuples, topo, starts, state_of, pdf_of, tree.num_pdfs, all_log_probs, all_leaving]
    )


def _check_fit(tree: ContextDependency, states: Any, tuples: list[tuple[int, ...]]) -> None:
    """Refuse a tree that lacks a state of a phone, or has numbers that no state has."""
    expected = {state_tuple.__getstate__()[:2] for state_tuple in states}
    missing = sorted(expected - {state_tuple[:2] for state_tuple in tuples})
    unused = tree.num_pdfs - len({state_tuple[2] for state_tuple in tuples if state_tuple[2] >= 0})
    if missing or unused:
        raise InputError(
            f"the tree has {tree.num_pdfs} pdfs, {unused} of them for no state of a phone"
            if unused
            else f"the tree has no pdf for state {missing[0][1]} of phone {missing[0][0]}",
            expected=f"one for the {len(expected)} states of the topology",
            remedy="remove the folder and run asr-hf align again",
        )


def _restored(parts: list[Any]) -> Any:
    model = khg.TransitionModel.__new__(khg.TransitionModel)
    model.__setstate__(tuple(parts))
    return model
