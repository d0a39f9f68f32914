"""Guesses pronunciations of words that a dictionary lacks, from those that it has.

Letters and phones are paired by EM, each letter with none, one or two phones, and words become
sequences of such pairs. An n-gram model of these says which phones are likely for the letters of a
new word (Bisani and Ney, 2008, with pairs of this one shape).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from asr_hf.hmm.graph.lexicon import Pronunciation
from asr_hf.hmm.graph.ngram import BOS, EOS, Ngram, interpolated

# A letter and its phones, as the n-gram model has it.
_Pair = tuple[str, Pronunciation]

_MOST_PHONES = 2
# Pairs that an n-gram has.
_ORDER = 5
_PASSES = 5
# A dictionary tells by then what it can; more takes minutes.
_MOST_ENTRIES = 20_000
# Beginnings of pronunciations that are followed.
_BEAM = 40
_TINY = 1e-300


class Pronouncer:
    """Guesses pronunciations.

    Args:
        entries: letters and phones of the words that are known.
    """

    def __init__(self, entries: Sequence[tuple[Sequence[str], Pronunciation]]) -> None:
        usable = [(word, phones) for word, phones in entries if _pairable(word, phones)]
        step = max(1, math.ceil(len(usable) / _MOST_ENTRIES))
        taken = usable[::step]
        weights = _paired(taken)
        sequences = [_best(word, phones, weights) for word, phones in taken]
        self._names: dict[_Pair, str] = {}
        self._pairs: dict[str, list[_Pair]] = defaultdict(list)
        for sequence in sequences:
            for pair in sequence:
                if pair not in self._names:
                    # Words of the n-gram model are texts.
                    self._names[pair] = str(len(self._names))
                    self._pairs[pair[0]].append(pair)
        named = [[self._names[pair] for pair in sequence] for sequence in sequences]
        self._probabilities, self._backoffs = (
            interpolated(named, self._names.values(), _ORDER) if named else ([], [])
        )

    def pronounce(self, word: Sequence[str]) -> Pronunciation | None:
        """Return the likeliest pronunciation.

        Args:
            word: letters of the word.

        Returns:
            Its phones; None if a letter is in no known word, or all letters are silent.
        """
        if not word or any(letter not in self._pairs for letter in word):
            return None
        # By the end of the sequence of pairs: its log probability and its phones.
        beginnings: dict[Ngram, tuple[float, Pronunciation]] = {(BOS,): (0.0, ())}
        for letter in word:
            onward: dict[Ngram, tuple[float, Pronunciation]] = {}
            for history, (score, phones) in beginnings.items():
                for pair in self._pairs[letter]:
                    name = self._names[pair]
                    key = (*history, name)[1 - _ORDER :]
                    found = (score + self._log_probability(history, name), (*phones, *pair[1]))
                    if key not in onward or found > onward[key]:
                        onward[key] = found
            best = sorted(onward.items(), key=lambda item: item[1], reverse=True)
            beginnings = dict(best[:_BEAM])
        ended = [
            (score + self._log_probability(history, EOS), phones)
            for history, (score, phones) in beginnings.items()
            if phones
        ]
        return max(ended)[1] if ended else None

    def _log_probability(self, history: Ngram, name: str) -> float:
        """Return the log probability of a pair behind others."""
        total = 0.0
        for start in range(len(history) + 1):
            context = history[start:]
            known = self._probabilities[len(context)].get((*context, name))
            if known is not None:
                return total + math.log(known)
            total += math.log(self._backoffs[len(context) - 1].get(context, 1.0))
        # The unigrams have every pair.
        raise KeyError(name)


def _pairable(word: Sequence[str], phones: Pronunciation) -> bool:
    """Whether each letter can have its share of the phones: spelled abbreviations cannot."""
    return 0 < len(phones) <= _MOST_PHONES * len(word)


def _paired(entries: Sequence[tuple[Sequence[str], Pronunciation]]) -> Mapping[_Pair, float]:
    """Return the probability of each pair by EM, from all ways to part phones among letters."""
    weights: dict[_Pair, float] = {}
    for number in range(_PASSES):
        counts: dict[_Pair, float] = defaultdict(float)
        for word, phones in entries:
            # At first all pairs are alike.
            _count(word, phones, weights, 0.0 if number else 1.0, counts)
        total = sum(counts.values())
        weights = {pair: count / total for pair, count in counts.items()}
    return weights


def _steps(
    word: Sequence[str], phones: Pronunciation, number: int, place: int
) -> Iterator[tuple[int, _Pair]]:
    """Yield the pairs that a letter may begin at a place of the phones, and where each ends."""
    for end in range(place, min(place + _MOST_PHONES, len(phones)) + 1):
        yield end, (word[number], phones[place:end])


def _count(
    word: Sequence[str],
    phones: Pronunciation,
    weights: Mapping[_Pair, float],
    other: float,
    counts: dict[_Pair, float],
) -> None:
    """Add to each pair how often it is expected in a word (forward–backward).

    Args:
        word: letters of the word.
        phones: phones of the word.
        weights: weights of pairs.
        other: weight of the pairs that have none there.
        counts: counts, which are added to.
    """
    letters, places = len(word), len(phones) + 1
    before = [[0.0] * places for _ in range(letters + 1)]
    before[0][0] = 1.0
    for number in range(letters):
        for place in range(places):
            if share := before[number][place]:
                for end, pair in _steps(word, phones, number, place):
                    before[number + 1][end] += share * weights.get(pair, other)
    whole = before[letters][-1]
    if whole <= _TINY:
        return
    behind = [[0.0] * places for _ in range(letters + 1)]
    behind[letters][-1] = 1.0 / whole
    for number in range(letters - 1, -1, -1):
        for place in range(places):
            for end, pair in _steps(word, phones, number, place):
                if share := behind[number + 1][end]:
                    share *= weights.get(pair, other)
                    behind[number][place] += share
                    counts[pair] += before[number][place] * share


def _best(
    word: Sequence[str], phones: Pronunciation, weights: Mapping[_Pair, float]
) -> list[_Pair]:
    """Return the likeliest way to part phones among letters."""
    best: list[dict[int, tuple[float, list[_Pair]]]] = [{0: (0.0, [])}]
    for number in range(len(word)):
        onward: dict[int, tuple[float, list[_Pair]]] = {}
        for place, (score, pairs) in best[-1].items():
            for end, pair in _steps(word, phones, number, place):
                found = (score + math.log(max(weights.get(pair, 0.0), _TINY)), [*pairs, pair])
                if end not in onward or found[0] > onward[end][0]:
                    onward[end] = found
        best.append(onward)
    return best[-1][len(phones)][1]
