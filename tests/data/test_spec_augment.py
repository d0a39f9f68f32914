from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.data.frame_batch import FrameBatch, Hiding
from asr_hf.data.frame_draws import FrameDraws, key_of
from asr_hf.data.spec_augment import SpecAugment
from asr_hf.runtime.errors import InputError

DIM = 24


def starts_of(lengths):
    first = [sum(lengths[:n]) for n in range(len(lengths))]
    return torch.repeat_interleave(torch.tensor(first), torch.tensor(lengths))


def runs(flags):
    """Lengths of the runs of True."""
    text = "".join("x" if flag else " " for flag in flags.tolist())
    return [len(run) for run in text.split()]


@given(st.integers(0, 2**40), st.integers(0, 3), st.integers(0, 30), st.integers(1, 50), st.data())
def test_what_is_hidden_are_bands_of_the_utterance_and_a_span_of_each_stretch(
    key, bands, width, every, data
):
    span = data.draw(st.integers(0, every))
    lengths = data.draw(st.lists(st.integers(1, 120), min_size=1, max_size=3))
    starts = starts_of(lengths)
    frames = torch.arange(len(starts))
    augmentation = SpecAugment(bands, width, every, span)
    hidden = augmentation.hidden(FrameDraws(key), starts, frames, DIM)
    assert hidden.shape == (len(starts), DIM) and hidden.dtype is torch.bool
    for start, length in zip(starts.unique().tolist(), lengths, strict=True):
        own = hidden[start : start + length]
        whole = own.all(1)
        if bool((~whole).any()):
            of_bands = own[~whole][0]
            assert torch.equal(own[~whole], of_bands.expand(int((~whole).sum()), DIM))
            assert len(runs(of_bands)) <= bands
            assert int(of_bands.sum()) <= bands * width
            for stretch in whole.split(every):
                assert len(runs(stretch)) <= 1 and int(stretch.sum()) <= span


def test_a_frame_is_hidden_alike_alone_and_in_any_order():
    starts = starts_of([40, 300, 7])
    frames = torch.arange(len(starts))
    augmentation, draws = SpecAugment(), FrameDraws(key_of(1, 2))
    hidden = augmentation.hidden(draws, starts, frames, DIM)
    order = torch.randperm(len(frames), generator=torch.Generator().manual_seed(0))[:50]
    assert torch.equal(augmentation.hidden(draws, starts[order], order, DIM), hidden[order])
    # The same frames elsewhere in another batch, known by their numbers in the store.
    placed = FrameDraws(draws.key, torch.arange(40, 340))
    moved = augmentation.hidden(placed, starts[:300] * 0, torch.arange(300), DIM)
    assert torch.equal(moved, hidden[40:340])


def test_widths_are_uniform_and_everything_is_hidden_equally_often():
    utterances, length = 3000, 20
    starts = starts_of([length] * utterances)
    hidden = SpecAugment(1, 4, 10, 5).hidden(
        FrameDraws(key_of(3)), starts, torch.arange(len(starts)), DIM
    )
    own = hidden.view(utterances, 2, 10, DIM)
    spans = own.all(3).sum(2).flatten()
    counts = torch.bincount(spans, minlength=6).double() / len(spans)
    torch.testing.assert_close(counts, torch.full((6,), 1 / 6).double(), atol=0.02, rtol=0)
    seen = (~own.all(3)).flatten(1).double().argmax(1)
    of_bands = own.flatten(1, 2)[torch.arange(utterances), seen]
    counts = torch.bincount(of_bands.sum(1), minlength=5).double() / utterances
    torch.testing.assert_close(counts, torch.full((5,), 1 / 5).double(), atol=0.03, rtol=0)
    middle = of_bands[:, 4:-4].double().mean(0)
    assert middle.max() / middle.min() < 1.5


def test_keys_hide_other_things():
    starts, frames = starts_of([200]), torch.arange(200)
    augmentation = SpecAugment()
    one, two = (augmentation.hidden(FrameDraws(key_of(n)), starts, frames, DIM) for n in (0, 1))
    assert not torch.equal(one, two)


def test_hidden_values_are_the_mean():
    features = torch.randn(60, DIM, generator=torch.Generator().manual_seed(0))
    starts = starts_of([60])
    augmentation, draws = SpecAugment(), FrameDraws(key_of(5))
    fill = torch.arange(DIM).double()
    batch = FrameBatch(
        features, torch.zeros(60).long(), starts, starts + 60,
        hiding=Hiding(augmentation, draws, fill),
    )  # fmt: skip
    frames = torch.tensor([3, 3, 59, 0])
    found = batch.rows(frames, torch.float64)
    hidden = augmentation.hidden(draws, starts[frames], frames, DIM)
    assert hidden.any() and not hidden.all()
    expected = torch.where(hidden, fill.expand(4, DIM), features[frames].double())
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    "changes",
    [{"bands": -1}, {"band_width": -1}, {"span_every": 0}, {"span_width": 101}, {"span_width": -1}],
)
def test_values_out_of_range_are_refused(changes):
    with pytest.raises(InputError, match=r"augment: .*span_width"):
        SpecAugment(**changes)
