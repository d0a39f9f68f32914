"""Makes the numerator graph of a transcript: its phones, at any times (Hadian et al. 2018)."""

from __future__ import annotations

import numpy as np

from asr_hf.data.transcript_graph import ARC, STATE, TranscriptGraph
from asr_hf.hmm.chain.denominator import PhoneStates
from asr_hf.hmm.chain.phone_lm import START
from asr_hf.hmm.chain.spoken_phones import SpokenPhones
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.tree.sampled_states import STAYS

# Where some phones may have led to in the transcript, the state of the language model, and the
# last two of these phones.
_Place = tuple[frozenset[int], int, int, int]


class TranscriptNumerators:
    """Makes numerator graphs of what a transcript says.

    Args:
        states: the states of the denominator.
        start: probability of the denominator's first state before the first frame.
        every: k; every k-th frame is emitted.
    """

    def __init__(self, states: PhoneStates, start: float, every: int) -> None:
        self._states, self._start, self._every = states, start, every

    def make(self, utterance: str, spoken: SpokenPhones, frames: int) -> TranscriptGraph:
        """Make the graph of an utterance.

        Ways to say it that have the same phones are one path, with the probability that the
        denominator has for it. So the numerator is never likelier than the denominator, but where
        the language model lacks something said.

        Args:
            utterance: name of the utterance.
            spoken: its phones.
            frames: number of its frames, those between emitted ones as well.

        Returns:
            The graph.

        Raises:
            AlignmentError: the shortest way to say it has more phones than there are frames.
        """
        places = self._places(spoken)
        number = {place: n for n, place in enumerate(places)}
        arcs = [
            (number[place], number[ahead], self._weight(place, ahead[-1]))
            for place, following in places.items()
            for ahead in following
        ]
        rows = [self._state(place, spoken) for place in places]
        emitted = -(-frames // self._every)
        graph = TranscriptGraph(utterance, np.array(arcs, ARC), np.array(rows, STATE), emitted)
        if (least := graph.least_frames) > emitted:
            raise AlignmentError(
                f"{utterance}: {least} phones in {emitted} frames of every {self._every}",
                expected="as many frames as phones, or more",
                remedy="look at its transcript and its audio",
            )
        return graph

    def _places(self, spoken: SpokenPhones) -> dict[_Place, list[_Place]]:
        """Return what can be reached, in topological order, and what can be reached from there."""
        states = self._states
        found: dict[_Place, list[_Place]] = {}
        waiting: dict[int, dict[_Place, None]] = {0: {(frozenset([0]), 0, START, START): None}}
        # The least number of a set rises with each phone.
        for least in range(len(spoken.steps)):
            for place in waiting.pop(least, ()):
                here, state, _, last = place
                targets: dict[int, set[int]] = {}
                for source in here:
                    for phone, target, _ in spoken.steps[source]:
                        targets.setdefault(phone, set()).add(target)
                found[place] = []
                for phone, reached in sorted(targets.items()):
                    after = states.after(states.lm.states[state], phone)
                    ahead = frozenset(reached), after, last, phone
                    waiting.setdefault(min(reached), {})[ahead] = None
                    found[place].append(ahead)
        return found

    def _weight(self, place: _Place, phone: int) -> float:
        weight = self._states.saying(place[1], phone)
        return weight * self._start if place[-1] == START else weight

    def _state(self, place: _Place, spoken: SpokenPhones) -> tuple[int, int, float, int]:
        """Return a state as `STATE` has it."""
        here, _, before, phone = place
        if phone == START:
            return 0, 0, 0.0, 0
        states, final = self._states, any(spoken.ends[n] for n in here)
        return states.first_pdf(before, phone), states.rest_pdf(before, phone), STAYS, int(final)
