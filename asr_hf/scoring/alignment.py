"""Aligns the words of a hypothesis with those of its reference at the lowest cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import kaldialign

_BLANK = -1

WordPair = tuple[str | None, str | None]


@dataclass(frozen=True)
class EditCounts:
    """The numbers of word errors of one utterance, or of several together.

    Args:
        substitutions: number of words that were recognised as another word.
        deletions: number of reference words without a counterpart.
        insertions: number of hypothesis words without a counterpart.
        words: number of reference words.
    """

    substitutions: int
    deletions: int
    insertions: int
    words: int

    @property
    def errors(self) -> int:
        """The number of substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions


def word_alignment(
    ref: Sequence[str], hyp: Sequence[str], *, sclite_costs: bool = False
) -> list[WordPair]:
    """Align two word sequences with the fewest errors (Levenshtein 1966).

    >>> word_alignment(["a", "b"], ["a", "c", "b"])
    [('a', 'a'), (None, 'c'), ('b', 'b')]

    Args:
        ref: reference words.
        hyp: hypothesis words.
        sclite_costs: whether a substitution costs 4 and other errors 3, as in NIST's sclite,
            instead of 1 each. The number of errors may then exceed the smallest possible one.

    Returns:
        Pairs (reference word, hypothesis word), in their order. A missing reference word (None) is
        an insertion, a missing hypothesis word a deletion.
    """
    # Numbers stand for the words, so that no word can be taken for the blank.
    numbers: dict[str, int] = {}
    names: list[str] = []
    for word in (*ref, *hyp):
        if numbers.setdefault(word, len(names)) == len(names):
            names.append(word)
    pairs = kaldialign.align(
        [numbers[word] for word in ref],
        [numbers[word] for word in hyp],
        _BLANK,
        sclite_mode=sclite_costs,
    )
    return [
        (None if r == _BLANK else names[r], None if h == _BLANK else names[h]) for r, h in pairs
    ]


def count_errors(alignment: Sequence[WordPair]) -> EditCounts:
    """Count the errors of an alignment."""
    return EditCounts(
        substitutions=sum(r is not None and h is not None and r != h for r, h in alignment),
        deletions=sum(h is None for _, h in alignment),
        insertions=sum(r is None for r, _ in alignment),
        words=sum(r is not None for r, _ in alignment),
    )


def add_counts(counts: Iterable[EditCounts]) -> EditCounts:
    """Add up the errors of several utterances."""
    listed = list(counts)
    return EditCounts(
        substitutions=sum(utterance.substitutions for utterance in listed),
        deletions=sum(utterance.deletions for utterance in listed),
        insertions=sum(utterance.insertions for utterance in listed),
        words=sum(utterance.words for utterance in listed),
    )
