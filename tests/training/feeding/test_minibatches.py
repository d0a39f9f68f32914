"""Shuffling a store that is held whole, and one that is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from asr_hf.hf.objective import Split
from asr_hf.training.feeding.frame_source import FrameSource
from asr_hf.training.feeding.minibatches import ShuffledFrames, ShuffledUtterances
from asr_hf.training.feeding.units import Units

CPU = torch.device("cpu")


def epoch(store, block_frames, batch_frames, seed=1, number=0):
    """Each minibatch's frames [K, D] beside their labels, and the most frames held at once."""
    found, held = [], 0
    for unit in ShuffledFrames(FrameSource(store, CPU), block_frames).epoch(
        seed, number, batch_frames
    ):
        held = max(held, len(unit.batch.features))
        found.append(torch.cat([unit.batch.features[unit.index], unit.labels[:, None].float()], 1))
    return found, held


def by_row(rows):
    return rows[np.lexsort(rows.numpy().T)]


@pytest.mark.parametrize("batch_frames", [1, 7, 16])
@pytest.mark.parametrize("block_frames", [1, 50, 90, 10**6])
def test_every_frame_comes_once_in_as_many_minibatches(stores, block_frames, batch_frames):
    store = stores[Split.TRAIN]
    everything = store.gather(np.arange(store.num_units), CPU)
    expected = torch.cat([everything.features, everything.labels[:, None].float()], 1)
    found, held = epoch(store, block_frames, batch_frames)
    assert len(found) == math.ceil(store.num_frames / batch_frames)
    torch.testing.assert_close(by_row(torch.cat(found)), by_row(expected))
    if block_frames < store.num_frames:
        longest = int(np.diff(store.offsets).max())
        assert held <= max(block_frames, 2 * batch_frames + longest)
        assert all(1 <= len(f) < 2 * batch_frames + 1 for f in found)


@pytest.mark.parametrize("block_frames", [60, 10**6])
def test_seed_and_epoch_fix_the_order(stores, block_frames):
    store = stores[Split.TRAIN]
    once, again = (torch.cat(epoch(store, block_frames, 8)[0]) for _ in "ab")
    assert torch.equal(once, again)
    assert not torch.equal(once, torch.cat(epoch(store, block_frames, 8, number=1)[0]))
    assert not torch.equal(once, torch.cat(epoch(store, block_frames, 8, seed=2)[0]))


def test_blocks_mix_utterances(stores):
    store = stores[Split.TRAIN]
    found, _ = epoch(store, 80, 16)
    first = store.gather(np.arange(3), CPU).features
    places = [
        place
        for place, rows in enumerate(found)
        for row in rows[:, :-1]
        if (first == row).all(1).any()
    ]
    assert len(set(places)) > 3


@pytest.mark.parametrize("batch_frames", [1, 30, 10**6])
def test_whole_utterances_come_once_in_a_seeded_order(stores, batch_frames):
    units = Units(FrameSource(stores[Split.TRAIN], CPU), utterances=np.array([1, 4, 5, 9, 20]))
    shuffled = ShuffledUtterances(units)
    batches = list(shuffled.epoch(1, 0, batch_frames))
    assert len(batches) == shuffled.count(batch_frames)
    order = np.concatenate([batch.utterances for batch in batches])
    assert sorted(order) == [1, 4, 5, 9, 20]
    for batch in batches:
        expected = stores[Split.TRAIN].gather(batch.utterances, CPU)
        assert torch.equal(batch.batch.features, expected.features)
        assert batch.lengths.sum() == len(expected.features)
    if batch_frames == 1:
        assert len(batches) == 5
        again = [b.utterances[0] for b in shuffled.epoch(1, 0, 1)]
        assert list(order) == again
        others = [[b.utterances[0] for b in shuffled.epoch(1, e, 1)] for e in range(1, 5)]
        assert any(other != again for other in others)
