"""Bootstrap confidence intervals of word error rates (Bisani & Ney 2004).

Test sets are resampled by drawing utterances with replacement. Each gives a word error rate
(percent), and the quantiles of these rates bound the interval. Utterances are drawn as a whole,
because the errors within an utterance depend on one another.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from asr_hf.runtime.errors import InputError

Counts = npt.NDArray[np.int64]
Percentages = npt.NDArray[np.float64]

REPLICATIONS = 10_000
_DRAWS_AT_ONCE = 2_000_000


def resampled_percentages(
    errors: Counts, words: Counts, *, replications: int = REPLICATIONS, seed: int = 0
) -> Percentages:
    """Compute the word error rates of resampled test sets.

    Args:
        errors: number of errors of each utterance [U], or of several systems [S, U].
        words: number of reference words of each utterance [U].
        replications: number R of resampled test sets, which are the same for all systems.
        seed: seed of the draws.

    Returns:
        Word error rates (percent) [R], or [S, R]. A test set without words counts as one word.
    """
    count = len(words)
    rng = np.random.default_rng(seed)
    rows = max(1, _DRAWS_AT_ONCE // max(1, count))
    parts = []
    for start in range(0, replications, rows):
        drawn = rng.integers(0, count, size=(min(rows, replications - start), count))
        drawn_words = np.maximum(1, words[drawn].sum(-1))
        parts.append(100.0 * errors[..., drawn].sum(-1) / drawn_words)
    return np.concatenate(parts, axis=-1)


def quantile_interval(
    values: npt.NDArray[np.float64], *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the central interval that holds a given share of the values.

    Args:
        values: values [R].
        confidence: share of the values in the interval, between 0 and 1.

    Raises:
        InputError: the confidence is not between 0 and 1.
    """
    if not 0.0 < confidence < 1.0:
        raise InputError(
            f"confidence {confidence} is out of range", expected="a number between 0 and 1"
        )
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
