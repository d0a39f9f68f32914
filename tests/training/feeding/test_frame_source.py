"""Every way to the device gives the store's bits; reading ahead keeps order, errors and threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.curvature.precision import Precision
from asr_hf.data.splice import splice_at
from asr_hf.hf.objective import Sample, Split
from asr_hf.training.feeding import frame_source
from asr_hf.training.feeding.frame_source import (
    FrameSource,
    make_sources,
    resident_size,
    room_for_features,
)
from asr_hf.training.feeding.minibatches import ShuffledFrames
from asr_hf.training.feeding.units import Units

CPU = torch.device("cpu")
WAYS = {"map": {}, "ahead": {"prefetch": True}, "resident": {"resident": True}}


def readers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "asr-hf-read-ahead"]


def same(a, b) -> bool:
    return all(
        torch.equal(x, y) and x.dtype == y.dtype
        for x, y in zip(a.tensors, b.tensors, strict=True)
    )  # fmt: skip


class Watched:
    """A store that notes which thread reads which units, and can fail or wait on the way."""

    def __init__(self, store):
        self.store, self.read_by, self.failing, self.gate = store, [], None, None

    def __getattr__(self, name):
        return getattr(self.store, name)

    def read(self, units, pinned=False):
        if self.gate is not None and threading.current_thread() is not threading.main_thread():
            assert self.gate.wait(10)
        self.read_by.append((threading.current_thread().name, list(units)))
        if self.failing in units:
            raise OSError(f"unit {self.failing} lies on a bad block")
        return self.store.read(units, pinned)

    def gather(self, units, device):
        return self.read(units).to(device)


@pytest.fixture
def watched(stores):
    return Watched(stores[Split.TRAIN])


@pytest.mark.parametrize("way", WAYS)
@given(data=st.data())
def test_batches_are_the_bits_of_the_store(stores, way, data):
    store = stores[Split.TRAIN]
    unit = st.integers(0, store.num_units - 1)
    runs = st.tuples(unit, unit).map(lambda ends: list(range(*ends)))
    groups = data.draw(st.lists(st.one_of(st.lists(unit, max_size=6), runs), max_size=5))
    groups = [np.array(g, dtype=np.int64) for g in groups]
    batches = FrameSource(store, CPU, **WAYS[way]).batches(groups)
    assert len(batches) == len(groups)
    for batch, units in zip(batches, groups, strict=True):
        assert same(batch, store.gather(units, CPU))


def test_a_store_is_copied_whole_in_pieces(stores, monkeypatch):
    store = stores[Split.TRAIN]
    for piece in (1, 13, 100, 10**6):
        monkeypatch.setattr(frame_source, "_COPIED_AT_ONCE", piece)
        everything = np.arange(store.num_units)
        found = FrameSource(store, CPU, resident=True).gather(everything)
        assert same(found, store.gather(everything, CPU))


def test_frames_in_a_row_are_not_copied_again(stores):
    source = FrameSource(stores[Split.TRAIN], CPU, resident=True)
    one, other = (source.gather(np.arange(first, 9)).features for first in (0, 3))
    assert one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


@given(places=st.lists(st.integers(0, 4), max_size=12))
def test_any_order_of_places_gives_their_batches(stores, places):
    store = stores[Split.TRAIN]
    groups = [np.array([4 * n, 4 * n + 2]) for n in range(5)]
    batches = FrameSource(store, CPU, prefetch=True).batches(groups)
    for place in places:
        assert same(batches[place], store.gather(groups[place], CPU))


def test_one_batch_ahead_is_read_by_a_thread_and_no_more(watched):
    groups = [np.array([n]) for n in range(4)]
    watched.gate = threading.Event()
    batches = FrameSource(watched, CPU, prefetch=True).batches(groups)
    _ = batches[0]
    # The caller has its batch while the next one is still on its way.
    assert watched.read_by == [("MainThread", [0])]
    assert len(readers()) == 1
    watched.gate.set()
    _ = batches[1], batches[2], batches[3]
    assert [units for _, units in watched.read_by] == [[0], [1], [2], [3]]
    assert {name for name, _ in watched.read_by[1:]} == {"asr-hf-read-ahead"}


def test_nothing_is_read_ahead_where_that_is_not_asked_for(watched):
    for batch in FrameSource(watched, CPU).batches([np.array([n]) for n in range(3)]):
        del batch
    assert {name for name, _ in watched.read_by} == {"MainThread"}


def test_an_error_in_the_thread_reaches_the_caller_at_its_batch(watched):
    groups = [np.array([n]) for n in range(4)]
    watched.failing = 2
    taken = []
    with pytest.raises(OSError, match="unit 2 lies on a bad block"):
        for batch in FrameSource(watched, CPU, prefetch=True).batches(groups):
            taken.append(batch)
    assert len(taken) == 2
    watched.failing = None
    everything = list(FrameSource(watched, CPU, prefetch=True).batches(groups))
    assert len(everything) == 4


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_no_thread_is_left_behind(stores, taken):
    batches = FrameSource(stores[Split.TRAIN], CPU, prefetch=True).batches(
        list(np.arange(6)[:, None])
    )
    for place in range(taken):
        _ = batches[place]
    del batches
    for thread in readers():
        thread.join(10)
    assert not readers()


def ways_of(objective):
    """The same objective by each way to the device."""
    for settings in WAYS.values():
        for split, store in objective.stores.items():
            objective.sources[split] = FrameSource(store, CPU, **settings)
        objective._shuffled = ShuffledFrames(objective.sources[Split.TRAIN], 60)
        yield objective


@pytest.mark.parametrize("used", [None, np.array([1, 4, 5, 9, 20])])
def test_strided_units_are_the_same_frames_from_memory_and_from_files(stores, used):
    store = stores[Split.TRAIN]
    found = []
    for resident in (False, True):
        units = Units(FrameSource(store, CPU, resident), stride=3, utterances=used)
        order = np.random.default_rng(0).permutation(len(units.frame_counts))
        found.append(
            [
                (unit.labels, splice_at(unit.batch, unit.index, 2, 3, torch.float32))
                for unit in units.batches(order, 20)
            ]
        )
    assert len(found[0]) > 3
    for (labels, windows), (same_labels, same_windows) in zip(*found, strict=True):
        assert torch.equal(labels, same_labels) and torch.equal(windows, same_windows)


@pytest.mark.parametrize("kept", [0, 2, 99])
def test_sums_are_the_same_bits_by_every_way(make_objective, kept):
    objective = make_objective(chunk_frames=30, dtype=torch.float32)
    objective.chunks_kept = lambda frames: min(kept, len(frames))
    theta = objective.model.flat.detach().clone()
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(1))
    sample = Sample(Split.TRAIN, np.random.default_rng(0).permutation(25))
    found = []
    for same_objective in ways_of(objective):
        curvature = same_objective.curvature(theta, sample)
        per_unit = [g.clone() for _, g in same_objective.unit_gradients(theta, sample)]
        minibatches = same_objective.minibatches(5, 0, 16)
        steps = [same_objective.minibatch_gradient(theta, m)[1].clone() for m in minibatches]
        found.append(
            torch.stack(
                [
                    same_objective.gradient(theta, sample)[1],
                    curvature.product(v),
                    curvature.product(v),
                    curvature.exact_product(v),
                    *per_unit,
                    *steps,
                ]
            )
        )
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_the_smaller_store_is_kept_first_and_what_does_not_fit_is_streamed(stores):
    sizes = {split: resident_size(store) for split, store in stores.items()}
    assert sizes[Split.HELDOUT] < sizes[Split.TRAIN]
    both = sum(sizes.values())
    for room, kept in [
        (both, {Split.TRAIN, Split.HELDOUT}),
        (both - 1, {Split.HELDOUT}),
        (sizes[Split.HELDOUT] - 1, set()),
        (0, set()),
    ]:
        sources = make_sources(stores, CPU, room)
        assert {split for split, source in sources.items() if source.resident} == kept


def test_room_on_a_gpu_is_half_of_what_is_free_or_may_be_taken(monkeypatch):
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 4000))
    assert room_for_features(gpu, None, None) == 500
    assert room_for_features(gpu, None, 600) == 300
    assert room_for_features(gpu, None, 10**6) == 500
    assert room_for_features(gpu, 700, 600) == 700
    assert room_for_features(gpu, 0, None) == 0


def test_room_in_memory_is_shared_and_within_a_budget_the_same_each_time(monkeypatch):
    for free in (1000, 3000):
        monkeypatch.setattr(frame_source, "free_memory", lambda free=free: free)
        assert room_for_features(CPU, None, None) == free / 2
        assert room_for_features(CPU, None, None, sharing=5) == free / 10
        assert room_for_features(CPU, None, 400, sharing=5) == 100
        assert room_for_features(CPU, 700, 600) == 700
        assert room_for_features(CPU, 0, None) == 0


def test_resident_utterances_are_read_and_their_checksums_compared_once(watched):
    source = FrameSource(watched, CPU, resident=True)
    read = len(watched.read_by)
    assert sum(len(units) for _, units in watched.read_by) == watched.num_units
    for units in ([3, 1, 2], [5, 6, 7], [3]):
        source.gather(np.array(units))
    assert len(watched.read_by) == read


def test_a_precision_raised_in_mid_run_reads_the_chunks_again(make_objective):
    objective = make_objective(chunk_frames=30, dtype=torch.float32)
    objective.precision = Precision.BF16
    theta = objective.model.flat.detach().clone()
    v = torch.ones_like(theta)
    found = []
    for same_objective in ways_of(objective):
        curvature = same_objective.curvature(theta, Sample(Split.TRAIN, np.arange(20)))
        curvature.raise_precision()
        found.append(curvature.product(v))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
