from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.runtime.errors import InputError
from asr_hf.training.feeding.units import Units


class Store:
    def __init__(self, lengths):
        self.offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.num_units = len(lengths)


class Source:
    """Gives the numbers of the frames as their labels."""

    resident = False

    def __init__(self, lengths):
        self.store = Store(lengths)

    def batches(self, groups):
        return [Batch(self.store.offsets, group) for group in groups]


class Batch:
    def __init__(self, offsets, units):
        pieces = [torch.arange(int(offsets[u]), int(offsets[u + 1])) for u in units]
        self.labels = self.features = torch.cat(pieces)


LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=8)


@given(LENGTHS, st.integers(1, 12), st.integers(1, 60))
def test_every_frame_is_in_one_unit_and_comes_with_it(lengths, stride, most):
    units = Units(Source(lengths), stride)
    everything = np.arange(len(units.frame_counts))
    assert units.frame_counts.sum() == sum(lengths)
    found, held = [], []
    for chunk in units.batches(everything, most):
        assert len(chunk.labels) == chunk.lengths.sum()
        assert len(chunk.labels) <= max(most, chunk.lengths.max())
        found.append(chunk.labels)
        held.extend(chunk.lengths.tolist())
    assert held == units.frame_counts.tolist()
    assert sorted(torch.cat(found).tolist()) == list(range(sum(lengths)))


def test_a_unit_holds_every_kth_frame_of_its_utterance():
    units = Units(Source([7, 10, 2]), 3)
    chosen = np.array([1, 3 + 2, 6 + 0, 6 + 2])
    chunks = list(units.batches(chosen, 100))
    assert chunks[0].labels.tolist() == [1, 4, 9, 12, 15, 17]
    assert chunks[0].lengths.tolist() == [2, 3, 1, 0]
    assert [len(unit.labels) for unit in units.one_by_one(chosen)] == [2, 3, 1]


def test_a_stride_of_nothing_is_refused():
    with pytest.raises(InputError, match="frame_stride=0"):
        Units(Source([3]), 0)


@given(LENGTHS, st.integers(1, 5), st.data())
def test_some_utterances_only(lengths, stride, data):
    some = sorted(data.draw(st.sets(st.integers(0, len(lengths) - 1), min_size=1)))
    units = Units(Source(lengths), stride, np.array(some))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    wanted = [frame for u in some for frame in range(starts[u], starts[u + 1])]
    chunks = list(units.batches(np.arange(len(units.frame_counts)), 30))
    assert sorted(torch.cat([chunk.labels for chunk in chunks]).tolist()) == wanted
    assert set(np.concatenate([chunk.utterances for chunk in chunks])) <= set(some)


def test_whole_utterances_come_in_the_order_asked_for():
    (chunk,) = Units(Source([2, 3, 1])).batches(np.array([2, 0]), 10)
    assert chunk.labels.tolist() == [5, 0, 1]
    assert chunk.lengths.tolist() == [1, 2]
    assert chunk.utterances.tolist() == [2, 0]


@given(LENGTHS, st.integers(2, 5), st.data())
def test_every_kth_frame_of_whole_utterances_from_one_of_the_first(lengths, every, data):
    phases = data.draw(st.integers(1, every))
    chosen = np.array(data.draw(st.permutations(range(len(lengths) * phases))))
    units = Units(Source(lengths), every=every, phases=phases)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    utterances, firsts = np.divmod(chosen, phases)
    wanted = [
        range(starts[u] + first, starts[u + 1], every)
        for u, first in zip(utterances, firsts, strict=True)
    ]
    chunks = list(units.batches(chosen, 30))
    assert torch.cat([chunk.labels for chunk in chunks]).tolist() == [f for r in wanted for f in r]
    assert np.concatenate([c.utterances for c in chunks]).tolist() == utterances.tolist()
    assert np.concatenate([c.phases for c in chunks]).tolist() == firsts.tolist()
    assert np.concatenate([c.lengths for c in chunks]).tolist() == [len(r) for r in wanted]
