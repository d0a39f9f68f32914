"""Bootstrap confidence intervals of word error rates (Bisani & Ney 2004).

Utterances are drawn with replacement; each draw gives one word error rate (percent), and their
quantiles bound the interval. Words within an utterance stay together, since their errors do.
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
    """Word error rates of resampled test sets.

    Args:
        errors: errors of each utterance [U], or of several systems [S, U].
        words: reference words of each utterance [U].
        replications: number R of resampled test sets; every system meets the same ones.
        seed: fixes the draws.

    Returns:
        Percentages [R], or [S, R]. A draw without a single word counts as one word.
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
    """Return the central interval that holds a share `confidence` of `values` [R].

    Raises:
        InputError: the confidence is not between 0 and 1.
    """
    if not 0.0 < confidence < 1.0:
        raise InputError(
            f"confidence {confidence} is out of range", expected="a number between 0 and 1"
        )
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
