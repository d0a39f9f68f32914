"""Computes word error rates (WER), with counts and confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asr_hf.runtime.errors import InputError
from asr_hf.scoring.alignment import EditCounts, add_counts, count_errors, word_alignment
from asr_hf.scoring.bootstrap import Counts, quantile_interval, resampled_percentages

Transcripts = Mapping[str, Sequence[str]]

_NAMES_SHOWN = 10


@dataclass(frozen=True)
class WerResult:
    """The word error rate of a set of utterances.

    Args:
        counts: numbers of errors and of reference words of the whole set.
        interval: 95 % bootstrap confidence interval of `percent`.
        utterance_errors: number of errors of each utterance [U].
        utterance_words: number of reference words of each utterance [U].
    """

    counts: EditCounts
    interval: tuple[float, float]
    utterance_errors: Counts = field(repr=False, compare=False)
    utterance_words: Counts = field(repr=False, compare=False)

    @property
    def errors(self) -> int:
        """The number of substitutions, deletions and insertions together."""
        return self.counts.errors

    @property
    def substitutions(self) -> int:
        """The number of words that were recognised as another word."""
        return self.counts.substitutions

    @property
    def deletions(self) -> int:
        """The number of reference words without a counterpart."""
        return self.counts.deletions

    @property
    def insertions(self) -> int:
        """The number of hypothesis words without a counterpart."""
        return self.counts.insertions

    @property
    def words(self) -> int:
        """The number of reference words."""
        return self.counts.words

    @property
    def utterances(self) -> int:
        """The number of utterances."""
        return len(self.utterance_words)

    @property
    def percent(self) -> float:
        """The word error rate: errors for every hundred reference words."""
        return 100.0 * self.errors / self.words

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-able values."""
        return {
            "percent": self.percent,
            "words": self.words,
            "errors": self.errors,
            "substitutions": self.substitutions,
            "deletions": self.deletions,
            "insertions": self.insertions,
            "utterances": self.utterances,
            "interval": list(self.interval),
        }


def score(
    refs: Transcripts, hyps: Transcripts, *, missing_as_deleted: bool = False, seed: int = 0
) -> WerResult:
    """Compute the word error rate of a set of utterances.

    Args:
        refs: reference words of each utterance.
        hyps: hypothesis words of each utterance.
        missing_as_deleted: whether all words of an utterance without hypothesis count as deleted;
            otherwise such utterances are refused.
        seed: seed of the bootstrap.

    Returns:
        The word error rate, with counts and confidence interval.

    Raises:
        InputError: utterances lack a hypothesis or a reference, or there is no reference word.
    """
    counts = list(utterance_counts(refs, hyps, missing_as_deleted=missing_as_deleted).values())
    errors = np.array([c.errors for c in counts], dtype=np.int64)
    words = np.array([c.words for c in counts], dtype=np.int64)
    return _result(errors, words, add_counts(counts), seed)


def pooled(results: Sequence[WerResult], *, seed: int = 0) -> WerResult:
    """Compute the word error rate of several disjoint sets together; every word weighs the same.

    Args:
        results: results of the sets.
        seed: seed of the bootstrap.

    Returns:
        The word error rate of all utterances.

    Raises:
        InputError: there is no result.
    """
    totals = add_counts(result.counts for result in results)
    if not totals.words:
        raise InputError("nothing to pool: no result was given")
    errors = np.concatenate([result.utterance_errors for result in results])
    words = np.concatenate([result.utterance_words for result in results])
    return _result(errors, words, totals, seed)


def utterance_counts(
    refs: Transcripts, hyps: Transcripts, *, missing_as_deleted: bool = False
) -> dict[str, EditCounts]:
    """Count the errors of each utterance.

    Args:
        refs: reference words of each utterance.
        hyps: hypothesis words of each utterance.
        missing_as_deleted: whether all words of an utterance without hypothesis count as deleted;
            otherwise such utterances are refused.

    Returns:
        The numbers of errors of each utterance, in the order of `refs`.

    Raises:
        InputError: utterances lack a hypothesis or a reference.
    """
    unknown = [name for name in hyps if name not in refs]
    if unknown:
        raise InputError(
            f"{len(unknown)} recognised utterances have no reference: {_listed(unknown)}",
            expected=f"utterances among the {len(refs)} of the reference",
            remedy="score the hypotheses against the set they were decoded from",
        )
    missing = [name for name in refs if name not in hyps]
    if missing and not missing_as_deleted:
        raise InputError(
            f"{len(missing)} of {len(refs)} utterances have no hypothesis: {_listed(missing)}",
            expected="a line for every utterance, even where no word was recognised",
            remedy="decode them again, or count their words as deleted",
        )
    return {
        name: count_errors(word_alignment(words, hyps.get(name, ())))
        for name, words in refs.items()
    }


def _result(errors: Counts, words: Counts, totals: EditCounts, seed: int) -> WerResult:
    if not totals.words:
        raise InputError(
            f"nothing to score: {len(words)} utterances without a single reference word",
            remedy="check the reference transcripts",
        )
    interval = quantile_interval(resampled_percentages(errors, words, seed=seed))
    return WerResult(totals, interval, errors, words)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
