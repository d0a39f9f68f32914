"""Masks of dropout, and where networks put them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from asr_hf.data.counter_rng import frame_uniforms
from asr_hf.data.frame_batch import FrameBatch
from asr_hf.data.frame_draws import FrameDraws, key_of
from asr_hf.models.dnn import DNN
from asr_hf.models.dropout import Dropout
from asr_hf.models.tdnn import TDNN
from asr_hf.runtime.errors import InputError
from asr_hf.training.model_file import load_model, save_model

MakeDNN = Callable[..., DNN]
FRAMES = torch.arange(4000)
LIKE = torch.zeros(0, dtype=torch.float64)


def masks(rate: float, units: int, key: int = 1, stream: int = 0) -> Tensor:
    return Dropout(rate, units).double().mask(FrameDraws(key).at(FRAMES, stream), units, LIKE)


def batch_of(lengths: list[int], draws: FrameDraws | None = None) -> FrameBatch:
    total, ends = sum(lengths), np.cumsum(lengths)
    features = torch.randn(total, 3, generator=torch.Generator().manual_seed(total))
    starts = torch.from_numpy(np.repeat(ends - lengths, lengths))
    ends_of = torch.from_numpy(np.repeat(ends, lengths))
    return FrameBatch(features, torch.zeros(total).long(), starts, ends_of, draws=draws)


def make_tdnn(**changes: object) -> TDNN:
    settings: dict[str, object] = {
        "feature_dim": 3,
        "num_pdfs": 5,
        "context": [[-1, 0, 1], [-3, 2], [0]],
        "hidden_sizes": [6],
        "dropout": 0.4,
        "seed": 3,
    }
    return TDNN(**{**settings, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_each_unit_is_dropped_at_the_rate_and_means_are_kept(rate: float) -> None:
    factors = masks(rate, 50)
    assert factors.unique().tolist() == pytest.approx([0.0, 1 / (1 - rate)])
    spread = (rate / (1 - rate) / len(FRAMES)) ** 0.5
    assert float((factors.mean(0) - 1).abs().max()) < 4.5 * spread


def test_frames_units_layers_and_keys_are_dropped_independently() -> None:
    one = masks(0.5, 30) - 1
    others = [masks(0.5, 30, stream=1) - 1, masks(0.5, 30, key=key_of(3, 4)) - 1, one.roll(1, 0)]
    bound = 5 / len(FRAMES) ** 0.5
    for other in others:
        assert float((one.T @ other / len(FRAMES)).abs().max()) < bound
    among_units = one.T @ one / len(FRAMES) - torch.eye(30, dtype=torch.float64)
    assert float(among_units.abs().max()) < bound
    assert len(one.unique(dim=0)) > 0.99 * len(FRAMES)


def test_draws_follow_splitmix_of_the_frame_s_number_wherever_it_lies() -> None:
    places = torch.tensor([5, 0, 3])
    numbers = torch.tensor([70, 80, 90, 2**40, 1, 6])
    found = FrameDraws(9, numbers).at(places, 2)
    assert torch.equal(found, FrameDraws(9).at(numbers[places], 2))
    # The finaliser is the one of counter_rng, whose second number of frame 0 is at two steps.
    golden = 0x9E3779B97F4A7C15
    start = int(FrameDraws(0).at(torch.tensor([0]), 0)[0])
    bits = np.uint64(start % 2**64)
    first = _splitmix(golden)
    assert int(bits) == first
    seeded = _splitmix((0 * golden + golden) % 2**64)
    uniform = _splitmix((seeded + golden) % 2**64) >> 11
    assert frame_uniforms(0, np.array([0]))[0, 0] == uniform * 2.0**-53


def _splitmix(word: int) -> int:
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % 2**64
    return word ^ (word >> 31)


@pytest.mark.parametrize("kind", ["none", "rms", "layer", "batch"])
def test_a_network_drops_normalised_outputs_and_not_without_draws(
    make_dnn: MakeDNN, kind: str
) -> None:
    model, plain = (make_dnn(normalisation=kind, dropout=rate) for rate in (0.4, 0.0))
    batch, draws = batch_of([9, 4]), FrameDraws(key_of(1))
    drawn = replace(batch, draws=draws)
    rows = model.normalise(plain.inputs(batch))
    *hidden, output = model.linear_layers()
    for depth, linear in enumerate(hidden):
        rows = torch.sigmoid(linear(rows))
        if kind != "none":
            rows = model.normalisers[depth](rows)
        rows = rows * model.mask(depth, draws.at(torch.arange(13), depth), rows)
    torch.testing.assert_close(model(model.inputs(drawn)), output(rows))
    assert torch.equal(model(model.inputs(batch)), plain(plain.inputs(batch)))
    assert torch.equal(plain(plain.inputs(drawn)), plain(plain.inputs(batch)))


def test_single_frames_have_the_masks_that_they_have_in_utterances(make_dnn: MakeDNN) -> None:
    batch = batch_of([9, 4, 14], FrameDraws(5))
    index = torch.tensor([0, 8, 9, 12, 13, 20, 26])
    for model in (make_dnn(dropout=0.4), make_tdnn(), make_tdnn(context=[[-3, 3], [-2, 1]])):
        whole, some = model(model.inputs(batch)), model(model.inputs(batch, index))
        torch.testing.assert_close(some, whole[index])
        assert not torch.allclose(whole, model(model.inputs(batch_of([9, 4, 14]))))


def test_utterances_have_their_masks_beside_any_others() -> None:
    model, together = make_tdnn(), batch_of([9, 4, 14], FrameDraws(5))
    features = together.features[9:13]
    alone = batch_of([4], FrameDraws(5, torch.arange(9, 13)))
    alone = replace(alone, features=features)
    found = model(model.inputs(together))[9:13]
    torch.testing.assert_close(found, model(model.inputs(alone)))


def test_rows_of_a_tdnn_have_the_mask_of_the_frame_at_their_time() -> None:
    """One layer, dense oracle: the mask of an output's row is that of its own frame."""
    model = make_tdnn(context=[[-2, 1]], hidden_sizes=[6])
    draws = FrameDraws(7)
    batch = batch_of([8], draws)
    frames = torch.stack([torch.arange(8) - 2, torch.arange(8) + 1], 1).clamp(0, 7)
    rows = torch.sigmoid(
        model.linear_layers()[0](model.normalise(batch.features)[frames].flatten(1))
    )
    rows = rows * model.mask(0, draws.at(torch.arange(8), 0), rows)
    torch.testing.assert_close(model(model.inputs(batch)), model.linear_layers()[1](rows))


def test_the_description_and_the_file_leave_draws_out(make_dnn: MakeDNN, tmp_path) -> None:
    batch = batch_of([9])
    for model in (make_dnn(dropout=0.4), make_tdnn()):
        assert model.description is not None
        found = model.description.logits(batch.features, model.normalise)
        torch.testing.assert_close(found, model(model.inputs(batch)))
    model = make_dnn(dropout=0.4)
    group = {"_target_": "asr_hf.models.dnn.DNN", "hidden_sizes": [7, 6], "left": 1, "right": 2}
    save_model(tmp_path / "m", model, {**group, "dropout": 0.4}, {})
    loaded, _ = load_model(tmp_path / "m")
    assert loaded.dropout == 0.4
    assert torch.equal(loaded(loaded.inputs(batch)), model(model.inputs(batch)))


def test_a_shallower_network_drops_alike(make_dnn: MakeDNN) -> None:
    assert make_dnn(dropout=0.3).shallower(1).dropout == 0.3


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_what_is_no_share_is_refused(make_dnn: MakeDNN, rate: float) -> None:
    with pytest.raises(InputError, match=r"model\.dropout="):
        make_dnn(dropout=rate)
