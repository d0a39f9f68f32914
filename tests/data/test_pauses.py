"""Cuts at pauses, and long pauses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from asr_hf.data.pauses import RATE, cuts, levels, outside_pauses


def recording(*parts: tuple[float, float], rate: int = 8000) -> np.ndarray:
    """Noise of so many seconds at so many dB each."""
    random = np.random.default_rng(0)
    pieces = [10 ** (db / 20) * random.normal(size=int(s * rate)) for s, db in parts]
    return np.concatenate(pieces).astype(np.float32)


def test_levels_are_in_decibels_and_do_not_see_an_offset():
    samples = recording((1.0, 60.0), (1.0, 20.0))
    found = levels(samples + 500, 8000)
    assert len(found) == 200
    assert found[:100].mean() == pytest.approx(60, abs=0.5)
    assert found[100:].mean() == pytest.approx(20, abs=0.5)
    assert np.isfinite(levels(np.zeros(8000, np.float32), 8000)).all()


def test_cuts_lie_in_pauses_and_leave_nothing_out():
    parts = [(6.0, 60.0), (0.5, 20.0)] * 8
    level = levels(recording(*parts), 8000)
    found = cuts(level, 10.0)
    assert found[0][0] == 0 and found[-1][1] == len(level)
    assert all(a[1] == b[0] for a, b in pairwise(found))
    for _, end in found[:-1]:
        within = end % (6.5 * RATE)
        assert within >= 6.0 * RATE, "in speech"
    assert all(0 < last - first <= 10 * RATE for first, last in found)


@pytest.mark.parametrize("seconds", [0.0, 0.3, 9.99, 10.0, 10.01, 12.6, 19.9, 20.1, 47.0])
def test_no_stretch_is_too_long_and_none_but_a_whole_recording_is_short(seconds):
    level = np.random.default_rng(1).normal(size=round(seconds * RATE))
    lengths = [last - first for first, last in cuts(level, 10.0)]
    assert sum(lengths) == len(level) and max(lengths) <= 10 * RATE
    assert len(lengths) == 1 or min(lengths) >= 2.4 * RATE


def test_only_long_pauses_are_left_out_but_for_their_ends():
    level = levels(recording((2.0, 60.0), (0.4, 10.0), (2.0, 60.0), (3.0, 10.0)), 8000)
    kept = outside_pauses(level)
    assert kept[: 4 * RATE + 40].all()
    left_out = np.flatnonzero(~kept)
    assert len(left_out) == 3 * RATE - 2 * round(0.25 * RATE)
    assert outside_pauses(np.full(500, 30.0)).all()
    assert outside_pauses(np.zeros(0)).shape == (0,)
