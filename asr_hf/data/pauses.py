"""Finds where a long recording can be cut, and which of its frames lie in long pauses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.float64]

# Levels a second.
RATE = 100
# Seconds that a place must be quiet for, to be cut at.
_QUIET = 0.3
# Percentiles of the levels of silence and speech, how far from the one to the other a pause may
# reach, and how far they are apart where there are pauses at all (dB).
_QUIET_SHARE, _LOUD_SHARE, _REACH, _LEAST_RANGE = 10, 98, 0.35, 15.0
# Least duration of a long pause (seconds); so much at either end counts as speech's own silence.
_PAUSE, _MARGIN = 0.5, 0.25
# Digital silence has a level, too: half a step of 16 bits.
_FLOOR = 0.25


def level_samples(sample_rate: int) -> int:
    """Return the number of samples of a level."""
    return max(1, sample_rate // RATE)


def levels(samples: NDArray[np.float32], sample_rate: int) -> Levels:
    """Compute the level of each 10 ms of a recording.

    Args:
        samples: samples [N] in the range of 16-bit integers.
        sample_rate: their rate (Hz).

    Returns:
        Levels (dB) [T]; offsets of the samples from zero do not count.
    """
    hop = level_samples(sample_rate)
    count = len(samples) // hop
    power = samples[: count * hop].reshape(count, hop).var(axis=1, dtype=np.float64)
    found: Levels = 10 * np.log10(power + _FLOOR)
    return found


def cuts(level: Levels, longest: float) -> list[tuple[int, int]]:
    """Cut a recording into stretches, each at the quietest place that its length allows.

    Args:
        level: levels (dB) [T] of the recording.
        longest: longest stretch (seconds).

    Returns:
        The first level of each stretch, and that behind its last; together they are all of [0, T).
    """
    most, window = max(4, round(longest * RATE)), round(_QUIET * RATE)
    smooth = np.convolve(level, np.ones(window) / window, "same") if len(level) else level
    bounds = [0]
    while (left := len(level) - bounds[-1]) > most:
        # What is left behind the cut is a quarter of a stretch at least.
        first, last = bounds[-1] + most // 2, bounds[-1] + min(most, left - most // 4)
        bounds.append(first + int(np.argmin(smooth[first:last])))
    bounds.append(len(level))
    return list(pairwise(bounds))


def outside_pauses(level: Levels) -> NDArray[np.bool_]:
    """Tell which parts of a recording are no long pause.

    Transcribed utterances, which networks are trained on, have little silence. Where a recording
    has much more, statistics over all of it would be those of its silence.

    Args:
        level: levels (dB) [T].

    Returns:
        Whether each lies outside the long pauses [T]; True for all where none would.
    """
    if not len(level):
        return np.ones(0, bool)
    silence, speech = np.percentile(level, [_QUIET_SHARE, _LOUD_SHARE])
    if speech - silence < _LEAST_RANGE:
        return np.ones(len(level), bool)
    quiet = level < silence + _REACH * (speech - silence)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    kept, margin = np.ones(len(level), bool), round(_MARGIN * RATE)
    for first, last in edges.reshape(-1, 2):
        if last - first > _PAUSE * RATE:
            kept[first + margin : last - margin] = False
    return kept if kept.any() else np.ones(len(level), bool)
