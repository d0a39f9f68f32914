"""Context windows against a loop."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.data.frame_batch import FrameBatch
from asr_hf.data.splice import splice, splice_at


def make_batch(lengths: list[int], dim: int) -> FrameBatch:
    ends = np.cumsum(lengths)
    frames = np.random.default_rng(sum(lengths)).normal(size=(int(ends[-1]), dim))
    return FrameBatch(
        torch.from_numpy(frames.astype(np.float16)),
        torch.zeros(int(ends[-1]), dtype=torch.int64),
        torch.from_numpy(np.repeat(ends - lengths, lengths)),
        torch.from_numpy(np.repeat(ends, lengths)),
    )


def by_loop(batch: FrameBatch, lengths: list[int], left: int, right: int) -> np.ndarray:
    frames, rows, first = batch.features.numpy(), [], 0
    for length in lengths:
        utterance = frames[first : first + length]
        for t in range(length):
            window = []
            for offset in range(-left, right + 1):
                window.extend(utterance[min(max(t + offset, 0), length - 1)])
            rows.append(window)
        first += length
    return np.array(rows)


shapes = st.tuples(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(0, 6),
    st.integers(0, 6),
)


@given(shapes)
def test_equals_a_loop_that_repeats_edges(shape):
    lengths, dim, left, right = shape
    batch = make_batch(lengths, dim)
    found = splice(batch, left, right, torch.float32)
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), by_loop(batch, lengths, left, right))


@given(shapes, st.data())
def test_windows_at_some_frames_are_rows_of_all_windows(shape, data):
    lengths, dim, left, right = shape
    batch = make_batch(lengths, dim)
    frame = st.integers(0, sum(lengths) - 1)
    index = torch.tensor(data.draw(st.lists(frame, max_size=6)), dtype=torch.int64)
    some = splice_at(batch, index, left, right, torch.float64)
    assert torch.equal(some, splice(batch, left, right, torch.float64)[index])
