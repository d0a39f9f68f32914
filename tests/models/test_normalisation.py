"""Normalisation layers against torch's own, and what they do to networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from asr_hf.curvature.normalisation import EPSILON, Normalisation
from asr_hf.data.frame_batch import FrameBatch
from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.dnn import DNN
from asr_hf.models.normalisation import (
    STATISTICS_DECAY,
    BatchNormalisation,
    batch_layers,
    normalisation_layer,
)
from asr_hf.models.tdnn import TDNN
from asr_hf.runtime.errors import InputError
from asr_hf.training.model_file import load_model, save_model

MakeDNN = Callable[..., DNN]
NORMALISED = [kind for kind in Normalisation if kind is not Normalisation.NONE]
GENERATOR = torch.Generator().manual_seed(0)
ROWS = torch.randn(40, 6, generator=GENERATOR) * 3 + 1


def make_tdnn(normalisation: str) -> TDNN:
    return TDNN(
        feature_dim=3,
        num_pdfs=5,
        context=[[-1, 0, 1], [-3, 2]],
        hidden_sizes=[6],
        normalisation=normalisation,
    )


def batch_of(lengths: list[int]) -> FrameBatch:
    total, ends = sum(lengths), np.cumsum(lengths)
    features = torch.randn(total, 3, generator=torch.Generator().manual_seed(total))
    starts = torch.from_numpy(np.repeat(ends - lengths, lengths))
    return FrameBatch(
        features, torch.zeros(total).long(), starts, torch.from_numpy(np.repeat(ends, lengths))
    )


def test_rows_equal_those_of_torch() -> None:
    rms = normalisation_layer(Normalisation.RMS, 6)(ROWS)
    torch.testing.assert_close(rms, torch.nn.functional.rms_norm(ROWS, (6,), eps=2.0**-66))
    layer = normalisation_layer(Normalisation.LAYER, 6)(ROWS)
    torch.testing.assert_close(layer, torch.nn.functional.layer_norm(ROWS, (6,), eps=EPSILON))


def test_by_minibatch_it_is_torch_s_batch_norm_and_its_gradient() -> None:
    ours, theirs = BatchNormalisation(6), torch.nn.BatchNorm1d(6, eps=EPSILON, affine=False)
    found, expected = (ROWS.clone().requires_grad_() for _ in range(2))
    weights = torch.randn(ROWS.shape, generator=GENERATOR)
    with ours.by_minibatch():
        one = ours(found)
    two = theirs(expected)
    torch.testing.assert_close(one, two)
    (one * weights).sum().backward()  # type: ignore[no-untyped-call]
    (two * weights).sum().backward()
    torch.testing.assert_close(found.grad, expected.grad)
    # For evaluation, statistics that stay.
    torch.testing.assert_close(ours.mean, ROWS.mean(0))
    torch.testing.assert_close(ours.variance, ROWS.var(0, correction=0))
    before = ours.mean.clone()
    torch.testing.assert_close(ours(ROWS), one.detach())
    assert torch.equal(ours.mean, before)


def test_statistics_are_means_at_first_and_decay_afterwards() -> None:
    layer, expected = BatchNormalisation(6), torch.zeros(6)
    for number in range(1, 14):
        rows = ROWS * number
        with layer.measuring() as sums:
            layer(rows[:15])
            layer(rows[15:])
        layer.renew(sums)
        share = max(1 / number, 1 - STATISTICS_DECAY)
        expected = expected * (1 - share) + rows.mean(0) * share
        torch.testing.assert_close(layer.mean, expected)
        if number == 1:
            torch.testing.assert_close(layer.variance, rows.var(0, correction=0))
    assert int(layer.renewals) == 13


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh"])
@pytest.mark.parametrize("kind", NORMALISED)
def test_logits_follow_the_definition(
    make_dnn: MakeDNN, spliced: Tensor, activation: str, kind: Normalisation
) -> None:
    model = make_dnn(activation=activation, normalisation=kind)
    for layer in batch_layers(model).values():
        layer.mean.uniform_(0, 1, generator=GENERATOR)
        layer.variance.uniform_(0.1, 1, generator=GENERATOR)
    rows = spliced
    *hidden, output = model.linear_layers()
    for depth, linear in enumerate(hidden):
        rows = getattr(torch, activation)(linear(rows))
        if kind is Normalisation.BATCH:
            used = batch_layers(model)[f"normalisers.{depth}"]
            rows = (rows - used.mean) / (used.variance + EPSILON).sqrt()
        elif kind is Normalisation.LAYER:
            rows = torch.nn.functional.layer_norm(rows, rows.shape[1:], eps=EPSILON)
        else:
            rows = rows / rows.square().mean(1, keepdim=True).sqrt()
    torch.testing.assert_close(model(spliced), output(rows))


@pytest.mark.parametrize("kind", Normalisation)
def test_the_description_computes_the_same(make_dnn: MakeDNN, kind: Normalisation) -> None:
    batch = batch_of([9])
    for model in (make_dnn(normalisation=kind), make_tdnn(kind)):
        assert isinstance(model, AcousticModel) and model.description is not None
        found = model.description.logits(batch.features, model.normalise)
        torch.testing.assert_close(found, model(model.inputs(batch)))


@pytest.mark.parametrize("kind", Normalisation)
def test_no_parameter_is_added_and_weights_stay_but_for_their_scale(
    make_dnn: MakeDNN, kind: Normalisation
) -> None:
    plain, model = (make_dnn(activation="relu", normalisation=k) for k in ("none", kind))
    assert torch.equal(plain.flat, model.flat)
    assert len(model.affine_layers()) == 3


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh"])
@pytest.mark.parametrize("kind", Normalisation)
def test_fresh_posteriors_start_near_the_priors(activation: str, kind: Normalisation) -> None:
    model = DNN(
        feature_dim=20,
        num_pdfs=5,
        hidden_sizes=[300, 300],
        activation=activation,
        normalisation=kind,
        seed=1,
    )
    model.set_log_priors(torch.tensor([100.0, 10.0, 5.0, 1.0, 50.0]))
    model.start_at_priors()
    rows = torch.randn(500, 20, generator=torch.Generator().manual_seed(1))
    for layer in batch_layers(model).values():
        with layer.measuring() as sums:
            model(rows)
        layer.renew(sums)
    logits = model(rows)
    mean = (logits.mean(0) - logits.mean()).detach()
    expected = model.log_priors - model.log_priors.mean()
    # ReLUs have a mean of their own, normalised or not.
    tolerance = 0.6 if activation == "relu" and kind in ("none", "rms") else 0.25
    assert float((mean - expected).abs().max()) < tolerance


def test_he_weights_have_the_variance_of_the_paper() -> None:
    model = DNN(
        feature_dim=400,
        num_pdfs=5,
        hidden_sizes=[300, 300],
        activation="relu",
        initialisation="he",
    )
    lower, upper, _ = model.linear_layers()
    assert float(lower.weight.detach().var()) == pytest.approx(2 / 400, rel=0.03)
    assert float(upper.weight.detach().var()) == pytest.approx(2 / 300, rel=0.03)


def test_a_shallower_network_has_the_statistics_of_its_layers(make_dnn: MakeDNN) -> None:
    model = make_dnn(normalisation="batch")
    batch_layers(model)["normalisers.0"].mean.fill_(0.3)
    smaller = model.shallower(1)
    (layer,) = batch_layers(smaller).values()
    assert smaller.normalisation is Normalisation.BATCH and bool((layer.mean == 0.3).all())


def test_rows_across_the_border_of_utterances_are_no_part_of_statistics() -> None:
    model, lengths = make_tdnn("batch"), [4, 7, 5]
    batch, parts = batch_of(lengths), []
    for start, length in zip(np.cumsum([0, *lengths]), lengths, strict=False):
        part = batch_of([length])
        parts.append(FrameBatch(batch.features[start:][:length], *part.tensors[1:]))
    for layer in batch_layers(model).values():
        with layer.measuring() as together:
            model(model.inputs(batch))
        with layer.measuring() as apart:
            for part in parts:
                model(model.inputs(part))
        torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("kind", Normalisation)
def test_model_files_hold_settings_and_statistics(
    make_dnn: MakeDNN, tmp_path, spliced: Tensor, kind: Normalisation
) -> None:
    model = make_dnn(normalisation=kind)
    for layer in batch_layers(model).values():
        layer.mean.fill_(0.3)
        layer.renewals.fill_(4)
    save_model(tmp_path / "m", model, group(normalisation=str(kind)), {})
    loaded, _ = load_model(tmp_path / "m")
    assert torch.equal(loaded(spliced), model(spliced))
    assert [int(x.renewals) for x in batch_layers(loaded).values()] == [4] * len(
        batch_layers(model)
    )


def test_a_file_of_before_is_one_without_normalisation(make_dnn: MakeDNN, tmp_path) -> None:
    model = make_dnn()
    save_model(tmp_path / "m", model, group(), {})
    loaded, _ = load_model(tmp_path / "m")
    assert isinstance(loaded, DNN) and loaded.normalisation is Normalisation.NONE


@pytest.mark.parametrize(
    ("name", "value"),
    [("mean", float("nan")), ("variance", -1.0), ("variance", float("inf")), ("renewals", -1)],
)
def test_malformed_statistics_are_refused_by_name(
    make_dnn: MakeDNN, tmp_path, name: str, value: float
) -> None:
    model = make_dnn(normalisation="batch")
    getattr(batch_layers(model)["normalisers.1"], name).fill_(value)
    save_model(tmp_path / "m", model, group(normalisation="batch"), {})
    with pytest.raises(InputError, match=r"normalisers\.1"):
        load_model(tmp_path / "m")


def test_statistics_that_do_not_fit_are_refused_by_name(make_dnn: MakeDNN, tmp_path) -> None:
    save_model(tmp_path / "m", make_dnn(normalisation="batch"), group(normalisation="rms"), {})
    with pytest.raises(InputError, match=r"normalisers\.0\.mean: expected None, found \[7\]"):
        load_model(tmp_path / "m")


def test_an_unknown_normalisation_is_refused(make_dnn: MakeDNN) -> None:
    with pytest.raises(InputError, match=r"model\.normalisation: unknown: 'group'"):
        make_dnn(normalisation="group")


def group(**changes: object) -> dict[str, object]:
    return {
        "_target_": "asr_hf.models.dnn.DNN",
        "hidden_sizes": [7, 6],
        "activation": "sigmoid",
        "left": 1,
        "right": 2,
        **changes,
    }
