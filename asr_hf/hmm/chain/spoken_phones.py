"""All sequences of phones that a transcript may be spoken as, told without listening."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from asr_hf.hmm.chain.phone_lm import LEAST_HISTORY, START, History

# Counts are whole numbers of such parts of a sentence: sums and differences of them are exact.
PARTS = 1_000_000
# Phone, place behind it, and probability.
Step = tuple[int, int, float]
Pronunciations = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Pauses:
    """Where pauses may be.

    Args:
        phone: id of silence.
        between: probability of a pause between two words.
        at_ends: probability of one before the first word, and of one behind the last.
    """

    phone: int
    between: float
    at_ends: float


@dataclass
class SpokenPhones:
    """An acyclic graph of phones, whose places are numbered in topological order.

    Args:
        steps: steps from each place. Their probabilities and that of the end add up to 1.
        ends: probability that the utterance ends in each place.
    """

    steps: list[list[Step]] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, words: Sequence[Pronunciations], pauses: Pauses) -> SpokenPhones:
        """Make the graph of a transcript; the pronunciations of a word are equally likely.

        Args:
            words: phone ids of each pronunciation of each word; one word or more.
            pauses: where pauses may be.

        Returns:
            The graph.
        """
        graph = cls()
        places = graph._pause(graph._place(), pauses.phone, pauses.at_ends)
        for number, pronunciations in enumerate(words):
            behind = graph._word(places, pronunciations)
            pause = pauses.between if number + 1 < len(words) else pauses.at_ends
            places = graph._pause(behind, pauses.phone, pause)
        for place, probability in places.items():
            graph.ends[place] = probability
        return graph

    def _place(self) -> int:
        self.steps.append([])
        self.ends.append(0.0)
        return len(self.steps) - 1

    def _pause(self, place: int, phone: int, probability: float) -> dict[int, float]:
        """Add a pause that may be.

        Returns:
            The places before the next word, each with the share of its probability that is left.
        """
        if not probability:
            return {place: 1.0}
        behind = self._place()
        self.steps[place].append((phone, behind, probability))
        return {place: 1 - probability, behind: 1.0} if probability < 1 else {behind: 1.0}

    def _word(self, places: Mapping[int, float], pronunciations: Pronunciations) -> int:
        """Add a word; return the place behind it."""
        chains = [[self._place() for _ in phones[1:]] for phones in pronunciations]
        behind = self._place()
        for phones, inner in zip(pronunciations, chains, strict=True):
            *targets, _ = along = [*inner, behind]
            for place, share in places.items():
                self.steps[place].append((phones[0], along[0], share / len(pronunciations)))
            for place, phone, target in zip(targets, phones[1:], along[1:], strict=True):
                self.steps[place].append((phone, target, 1.0))
        return behind


def expected_counts(spoken: Iterable[SpokenPhones], order: int) -> dict[History, Counter[int]]:
    """Count what follows what, over all that may be said.

    Drawing one way to say each sentence, as Hadian et al. (2018) do, has these means. The counts
    have no noise of draws, and no sequence of phones is left out.

    Args:
        spoken: phones of each utterance.
        order: phones of an n-gram.

    Returns:
        Expected counts of each phone after the up to `order` - 1 phones before it, in `PARTS`.
    """
    expected: dict[History, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
    last: set[History] = set()
    for graph in spoken:
        reached: list[defaultdict[History, float]] = [defaultdict(float) for _ in graph.steps]
        reached[0][START,] = 1.0
        for place, (steps, end) in enumerate(zip(graph.steps, graph.ends, strict=True)):
            for history, share in reached[place].items():
                for phone, target, probability in steps:
                    expected[history][phone] += share * probability
                    reached[target][(*history, phone)[1 - order :]] += share * probability
                if end:
                    last.add(history[-LEAST_HISTORY:])
            reached[place].clear()
    counts = {
        history: Counter({phone: max(1, round(n * PARTS)) for phone, n in following.items()})
        for history, following in expected.items()
    }
    # What is said last has a state, from which nothing follows.
    return {**{history: Counter() for history in last}, **counts}


def pair_counts(spoken: Iterable[SpokenPhones]) -> dict[tuple[int, int], float]:
    """Count the phones after each phone, over all that may be said.

    Args:
        spoken: phones of each utterance.

    Returns:
        Expected count of each pair of a phone and the one after it; `START` is before the first.
    """
    counts = expected_counts(spoken, 2)
    return {
        (history[-1], phone): n / PARTS
        for history, following in counts.items()
        for phone, n in following.items()
    }
