"""Which rank gets which units."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from asr_hf.training.distributed.partition_units import partition_units
from asr_hf.training.feeding.counter_rng import frame_uniforms

FRAMES = arrays.arrays(np.int64, st.integers(0, 200), elements=st.integers(0, 2000))


@given(FRAMES, st.integers(1, 9))
def test_every_unit_goes_to_one_rank_and_loads_are_even(frames, ranks):
    shares = partition_units(frames, ranks)
    assert len(shares) == ranks
    assert sorted(np.concatenate(shares).tolist()) == list(range(len(frames)))
    assert all((np.diff(share) > 0).all() for share in shares)
    loads = [int(frames[share].sum()) for share in shares]
    # A greedy deal is uneven by one run at most: two units' halves and the run's own width.
    longest = int(frames.max(initial=0))
    assert max(loads) - min(loads) <= longest + frames.sum() // (32 * ranks) + 1


def test_shares_of_many_small_units_are_even_to_a_thirtieth_and_keep_neighbours_together():
    frames = np.full(100_000, 5)
    shares = partition_units(frames, 4)
    assert max(map(len, shares)) <= 25_000 * (1 + 1 / 30)
    apart = sum(int((np.diff(share) > 1).sum()) for share in shares)
    assert apart <= 4 * 33


def test_no_units_are_no_work():
    assert [share.tolist() for share in partition_units(np.array([], np.int64), 3)] == [[], [], []]


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
