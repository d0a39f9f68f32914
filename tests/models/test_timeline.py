"""Times of rows, against sets of numbers."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.data.frame_batch import FrameBatch
from asr_hf.models.timeline import Span, beside, frames_at, padded_utterances

spans = st.builds(Span, st.integers(-20, 20), st.integers(1, 5), st.integers(1, 12))
windows_of_times = st.sets(st.integers(-6, 6), min_size=1, max_size=3).map(sorted)


def batch_of(lengths: list[int]) -> FrameBatch:
    ends = np.cumsum(lengths)
    bounds = [torch.from_numpy(np.repeat(x, lengths)) for x in (ends - lengths, ends)]
    return FrameBatch(torch.zeros(sum(lengths), 1), torch.zeros(0).long(), *bounds)


@given(spans, windows_of_times)
def test_a_span_below_has_all_that_is_seen_and_begins_and_ends_with_it(
    above: Span, times: list[int]
) -> None:
    below = above.below(times)
    seen = {at + time for at in above.times for time in times}
    assert seen <= set(below.times)
    assert {below.times[0], below.times[-1]} == {min(seen), max(seen)}


@given(spans, windows_of_times, st.integers(1, 3))
def test_rows_side_by_side_are_those_at_the_times(
    above: Span, times: list[int], windows: int
) -> None:
    below = above.below(times)
    rows = torch.tensor([[100.0 * at + w, -at] for at in below.times for w in range(windows)])
    found = beside(rows, below, above, times, windows)
    expected = [
        [value for time in times for value in (100.0 * (at + time) + w, -float(at + time))]
        for at in above.times
        for w in range(windows)
    ]
    assert torch.equal(found, torch.tensor(expected))


def test_no_more_rows_than_needed_where_strides_are_multiples() -> None:
    assert Span(0, 1, 1).below((0, 3)) == Span(0, 3, 2)
    assert Span(0, 3, 2).below((-3, 0)) == Span(-3, 3, 3)
    assert Span(-3, 3, 3).below((0, 1)) == Span(-3, 1, 8)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(0, 4), st.integers(1, 3))
def test_utterances_are_padded_with_their_edges(lengths: list[int], left: int, step: int) -> None:
    right = 2
    first = torch.arange(len(lengths)) % step
    picked, rows = padded_utterances(batch_of(lengths), left, right, step, first)
    start, place = 0, 0
    for length, begin in zip(lengths, first.tolist(), strict=True):
        size = left + length + right
        size += -size % step
        times = range(begin - left, begin + size - left)
        frames = [min(max(time, 0), length - 1) for time in times]
        assert picked[place : place + size].tolist() == [start + frame for frame in frames]
        for frame in range(begin, length, step):
            at = left + step * int(rows[start + frame])
            assert at == place + left + frame - begin
        start, place = start + length, place + size
    assert place == len(picked)


def test_frames_at_times_stay_in_their_utterance() -> None:
    found = frames_at(batch_of([4, 3]), torch.tensor([0, 5]), range(-2, 4, 2))
    assert found.tolist() == [0, 4, 0, 5, 2, 6]
