"""The HMMs of phones in context, whose states a tree ties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.kaldi.tree import ContextDependency
from asr_hf.runtime.errors import InputError


@dataclass(frozen=True)
class _State:
    """A state of a phone: its pdf class, and the states that its transitions lead to."""

    pdf_class: int
    targets: tuple[int, ...]


class ContextHmms:
    """Looks up the HMM of any phone in context, with the probabilities at the time it is made.

    Args:
        transitions: a transition model.
        tree: the tree that the model was made with.

    Attributes:
        tree: the tree.
        num_transition_ids: number of transition ids of the model.
    """

    def __init__(self, transitions: TransitionModel, tree: ContextDependency) -> None:
        self.tree, self.num_transition_ids = tree, transitions.num_transition_ids
        tuples, topo, self._first, _, _, _, self._log_probs, self._leaving = (
            transitions.kaldi.__getstate__()
        )
        # The last state of a topology is the end of the phone.
        self._states = {
            phone: [
                _State(state.forward_pdf_class, tuple(to for to, _ in state.transitions))
                for state in topo.topology_for_phone(phone)[:-1]
            ]
            for phone in topo.phones
        }
        self._number = {
            state_tuple.__getstate__()[:3]: number for number, state_tuple in enumerate(tuples, 1)
        }

    def num_states(self, window: Sequence[int]) -> int:
        """Number of states of the phone in the middle of a window of phones."""
        return len(self._states[window[self.tree.central]])

    def hmm(self, window: Sequence[int]) -> Iterator[tuple[int, int, int, float]]:
        """List the transitions of a phone in context, without self-loops.

        Args:
            window: the phones that the tree looks at; 0 is the edge of the utterance.

        Yields:
            State and next state from 0, transition id, and the log probability of the transition
            when the state is left.

        Raises:
            InputError: the tree has no pdf for a state of the phone in this context.
        """
        phone = window[self.tree.central]
        for number, state in enumerate(self._states[phone]):
            pdf = self.tree.pdf(window, state.pdf_class)
            if pdf is None:
                raise InputError(
                    f"the tree has no pdf for state {number} of phones {list(window)}",
                    expected="one in every context",
                    remedy="remove the folder and run asr-hf align again",
                )
            transition_state = self._number[phone, number, pdf]
            for index, target in enumerate(state.targets):
                if target != number:
                    transition = self._first[transition_state] + index
                    log_prob = self._log_probs[transition] - self._leaving[transition_state]
                    yield number, target, transition, log_prob
