"""Makes the denominator graph of a phone language model and tied states."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.denominator_graph import ARC, DenominatorGraph
from asr_hf.hmm.chain.phone_lm import START, History, PhoneLm, longest_known
from asr_hf.hmm.tree.sampled_states import CHAIN, FIRST, STAYS, SampledStates
from asr_hf.kaldi.tree import ContextDependency
from asr_hf.runtime.errors import InputError

REST = 1
# Steps over which the probability of the states before the first frame is the mean.
_STEPS = 100
# Weight of a phone that the language model never saw where it is: about what a leap of the leaky
# HMM costs.
_UNSEEN = 1e-5


class PhoneStates:
    """The states of the denominator: those of the phone language model, each inside a phone.

    A history of two phones and the tree tell the pdf of every frame: that of the first frame of
    the next phone, and that of the further frames of the phone last said.

    Args:
        lm: the phone language model.
        tree: the tree that ties states.

    Raises:
        InputError: the tree asks about the phone after.
    """

    def __init__(self, lm: PhoneLm, tree: ContextDependency) -> None:
        if SampledStates.of(tree) is not CHAIN:
            raise InputError(
                f"a tree over {tree.width} phones",
                expected="one that asks about the phone before alone",
                remedy="+stage=lfmmi makes such states",
            )
        self.lm, self._tree, self._numbers = lm, tree, lm.numbers
        self._in_phone = {state[-1]: number for number, state in reversed([*enumerate(lm.states)])}

    def first_pdf(self, before: int, phone: int) -> int:
        """Return the pdf of the first frame of a phone after another one."""
        return self._pdf(before, phone, FIRST)

    def rest_pdf(self, before: int, phone: int) -> int:
        """Return the pdf of the further frames of a phone after another one."""
        return self._pdf(before, phone, REST)

    @property
    def longest(self) -> int:
        """Number of phones of the longest history that has a state."""
        return max(map(len, self.lm.states))

    def after(self, history: History, phone: int) -> int:
        """Return the state of a phone behind a history.

        Where the language model never saw the two phones, it is another state inside the phone;
        where it never saw the phone, that before the first one.
        """
        known = longest_known((*history, phone), self._numbers)
        return self._in_phone.get(phone, 0) if known is None else known

    def leaving(self, state: int, phone: int) -> float:
        """Return the probability of a phone's first frame after a frame in a state."""
        probability = self.lm.follows[state].get(phone, 0.0)
        return probability if self.lm.states[state][-1] == START else (1 - STAYS) * probability

    def saying(self, state: int, phone: int) -> float:
        """Return the same for a phone that was said there, whether or not it was ever seen."""
        return self.leaving(state, phone) or _UNSEEN

    def _pdf(self, before: int, phone: int, state: int) -> int:
        pdf = self._tree.pdf((before, phone), state)
        if pdf is None:
            raise InputError(
                f"the tree has no pdf for state {state} of phone {phone} after {before}",
                expected="one in every context",
                remedy="remove the folder and run asr-hf align again",
            )
        return pdf


def denominator_graph(states: PhoneStates, num_pdfs: int) -> DenominatorGraph:
    """Make the graph of all sentences of phones (Povey et al. 2016, sections 2.5 and 3).

    A path may begin anywhere: the probability of a state before the first frame is its mean over
    a hundred steps from the start of a sentence.

    Args:
        states: the states.
        num_pdfs: number of pdfs.

    Returns:
        The graph.
    """
    rows = []
    for number, history in enumerate(states.lm.states):
        for phone in states.lm.follows[number]:
            target = states.after(history, phone)
            pdf = states.first_pdf(history[-1], phone)
            rows.append((number, target, pdf, phone, states.leaving(number, phone)))
        if history[-1] != START:
            rows.append((number, number, states.rest_pdf(*history[-2:]), 0, STAYS))
    arcs = np.array(rows, ARC)
    return DenominatorGraph(arcs, _means(arcs, len(states.lm.states)), num_pdfs)


def _means(arcs: NDArray[Any], states: int) -> NDArray[np.float64]:
    """Return the mean probability of each state over the steps from the first one [S]."""
    here, total = np.zeros(states), np.zeros(states)
    here[0] = 1.0
    for _ in range(_STEPS):
        total += here
        moved = here[arcs["source"]] * arcs["weight"]
        here = np.bincount(arcs["target"], moved, states).astype(np.float64)
        # A sentence's last phones may have nothing after them.
        here /= here.sum()
    mean: NDArray[np.float64] = total / total.sum()
    return mean
