"""Random numbers that belong to a frame, whoever draws them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.data.counter_rng import frame_uniforms


@given(st.integers(0, 2**40), st.permutations(list(range(50))))
def test_a_frame_keeps_its_numbers_in_any_order(seed, order):
    numbers = np.arange(1000, 1050)
    found = frame_uniforms(seed, numbers)
    assert (frame_uniforms(seed, numbers[order]) == found[order]).all()
    assert ((found >= 0) & (found < 1)).all()


def test_frame_numbers_look_random():
    """Means, variances and correlations over frames, columns and neighbouring seeds."""
    found = np.concatenate([frame_uniforms(s, np.arange(20_000)) for s in (0, 1)], axis=1)
    assert np.abs(found.mean(0) - 0.5).max() < 0.01
    assert np.abs(found.var(0) - 1 / 12).max() < 0.003
    off = np.corrcoef(found.T) - np.eye(4)
    assert np.abs(off).max() < 0.03
    steps = np.corrcoef(found[:-1].T, found[1:].T)[:4, 4:]
    assert np.abs(steps).max() < 0.03
