"""The cheapest word alignment of a hypothesis with its reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import kaldialign

_BLANK = -1

WordPair = tuple[str | None, str | None]


@dataclass(frozen=True)
class EditCounts:
    """Errors of one utterance, or of several added up.

    Args:
        substitutions: words recognised as another word.
        deletions: words of the reference with no counterpart.
        insertions: words of the hypothesis with no counterpart.
        words: words of the reference.
    """

    substitutions: int
    deletions: int
    insertions: int
    words: int

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions


def word_alignment(
    ref: Sequence[str], hyp: Sequence[str], *, sclite_costs: bool = False
) -> list[WordPair]:
    """Align two word sequences with the fewest errors (Levenshtein 1966).

    Args:
        ref: words spoken.
        hyp: words recognised.
        sclite_costs: weigh substitutions 4 and the others 3, as NIST's sclite does, instead of 1
            each. The number of errors may then exceed the smallest one possible.

    Returns:
        (reference word, hypothesis word) pairs in order; None marks an insertion or a deletion.
    """
    # Numbers instead of words: no word can then be taken for the blank.
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
        substitutions=sum(one.substitutions for one in listed),
        deletions=sum(one.deletions for one in listed),
        insertions=sum(one.insertions for one in listed),
        words=sum(one.words for one in listed),
    )
