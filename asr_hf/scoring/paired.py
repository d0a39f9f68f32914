"""Paired bootstrap test of the word error rates of several systems (Bisani & Ney 2004)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr_hf.runtime.errors import InputError
from asr_hf.scoring.bootstrap import quantile_interval, resampled_percentages
from asr_hf.scoring.wer import WerResult


@dataclass(frozen=True)
class PairedComparison:
    """The difference between systems B and A on the same utterances.

    Args:
        difference: WER of B minus WER of A (percentage points); negative if B is better.
        interval: 95 % bootstrap confidence interval of the difference.
        probability: share of resampled test sets on which B makes fewer errors than A.
    """

    difference: float
    interval: tuple[float, float]
    probability: float

    @property
    def beyond_chance(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        low, high = self.interval
        return low > 0 or high < 0


class PairedBootstrap:
    """Tests whether systems differ, with the same resampled test sets for all of them.

    The difficulty of the utterances cancels out, so that the test is far more sensitive than a
    comparison of separate intervals (Bisani & Ney 2004, section 4). Each pair is tested by itself:
    among many systems some seem to differ by chance.

    Args:
        results: word errors of each system on the same utterances, in the same order.
        seed: seed of the bootstrap.

    Raises:
        InputError: there is no system, or their utterances differ.
    """

    def __init__(self, results: Sequence[WerResult], *, seed: int = 0) -> None:
        if not results or any(
            not np.array_equal(result.utterance_words, results[0].utterance_words)
            for result in results
        ):
            raise InputError(
                f"{len(results)} systems that were not scored on the same utterances",
                expected="the word errors of one test set for each system",
            )
        self._percent = [result.percent for result in results]
        errors = np.stack([result.utterance_errors for result in results])
        self._resampled = resampled_percentages(errors, results[0].utterance_words, seed=seed)

    def between(self, a: int, b: int) -> PairedComparison:
        """Compare system number `b` with system number `a`."""
        first, second = self._resampled[a], self._resampled[b]
        return PairedComparison(
            difference=self._percent[b] - self._percent[a],
            interval=quantile_interval(second - first),
            probability=float(np.mean(second < first)),
        )
