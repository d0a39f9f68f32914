"""Which rank gets which units."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from asr_hf.training.distributed.partition_units import partition_units

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
