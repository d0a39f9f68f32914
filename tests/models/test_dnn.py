"""The network against its definition, its initial weights against their laws."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr_hf.models.dnn import DNN
from asr_hf.runtime.errors import InputError

MakeDNN = Callable[..., DNN]

ACTIVATIONS = ["sigmoid", "relu", "tanh"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_logits_follow_the_definition(make_dnn: MakeDNN, spliced: Tensor, activation: str) -> None:
    model = make_dnn(activation=activation)
    mean, deviation = torch.randn(12), torch.rand(12) + 0.5
    model.set_input_statistics(mean, deviation)
    expected = (spliced - mean) / deviation
    for depth, layer in enumerate(model.linear_layers()):
        expected = expected @ layer.weight.T + layer.bias
        if depth < 2:
            expected = getattr(torch, activation)(expected)
    torch.testing.assert_close(model(spliced), expected)


def test_no_hidden_layer_is_softmax_regression(make_dnn: MakeDNN, spliced: Tensor) -> None:
    model = make_dnn(hidden_sizes=[])
    (layer,) = model.linear_layers()
    torch.testing.assert_close(model(spliced), spliced @ layer.weight.T + layer.bias)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_equals_finite_differences(
    make_dnn: MakeDNN, spliced: Tensor, activation: str
) -> None:
    model = make_dnn(activation=activation).double()
    labels = torch.arange(len(spliced)) % 5

    def loss() -> Tensor:
        return torch.nn.functional.cross_entropy(model(spliced.double()), labels, reduction="sum")

    gradient = model.flat_grad
    loss().backward()  # type: ignore[no-untyped-call]
    step, flat = 1e-5, model.flat
    numeric = torch.zeros_like(flat)
    with torch.no_grad():
        for i in range(flat.numel()):
            kept = float(flat[i])
            flat[i] = kept + step
            above = float(loss())
            flat[i] = kept - step
            numeric[i] = (above - float(loss())) / (2 * step)
            flat[i] = kept
    torch.testing.assert_close(gradient, numeric, rtol=1e-6, atol=1e-8)


def test_log_likelihoods_are_posteriors_over_priors(make_dnn: MakeDNN, spliced: Tensor) -> None:
    model = make_dnn()
    model.set_log_priors(torch.tensor([1.0, 2.0, 3.0, 4.0, 0.0]))
    ratio = model(spliced).softmax(dim=1) / (torch.tensor([1.0, 2.0, 3.0, 4.0, 1.0]) / 11)
    torch.testing.assert_close(model.log_likelihoods(spliced), ratio.log())


def test_half_precision_features_are_normalised_in_single(make_dnn: MakeDNN) -> None:
    model = make_dnn()
    model.set_input_statistics(torch.full((3,), 1000.0), torch.full((3,), 1e-3))
    x = torch.full((1, 12), 1000.5, dtype=torch.float16)
    torch.testing.assert_close(model.normalise(x), torch.full((1, 12), 500.0))


def test_a_constant_input_is_centred_not_blown_up(make_dnn: MakeDNN) -> None:
    model = make_dnn()
    model.set_input_statistics(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.0, 1.0]))
    rows = torch.tensor([[1.0, 2.0, 3.0] * 4])
    assert not model.normalise(rows).any()
    assert torch.isfinite(model(rows)).all()


@pytest.mark.parametrize(
    ("mean", "deviation"),
    [
        (torch.zeros(4), torch.ones(3)),
        (torch.zeros(3), torch.full((3,), -1.0)),
        (torch.full((3,), math.nan), torch.ones(3)),
        (torch.zeros(3), torch.full((3,), math.inf)),
    ],
)
def test_bad_input_statistics_are_refused(
    make_dnn: MakeDNN, mean: Tensor, deviation: Tensor
) -> None:
    with pytest.raises(ValueError, match=r"statistics|negative"):
        make_dnn().set_input_statistics(mean, deviation)


@pytest.mark.parametrize("counts", [torch.ones(4), torch.tensor([1.0, -1.0, 1.0, 1.0, 1.0])])
def test_bad_prior_counts_are_refused(make_dnn: MakeDNN, counts: Tensor) -> None:
    with pytest.raises(ValueError, match="5 frame counts"):
        make_dnn().set_log_priors(counts)


@pytest.mark.parametrize(
    "change", [{"activation": "swish"}, {"initialisation": "zeros"}, {"hidden_sizes": [4, 0]}]
)
def test_unknown_settings_are_input_errors(make_dnn: MakeDNN, change: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"model.{next(iter(change))}"):
        make_dnn(**change)


def test_seed_fixes_the_weights_whatever_the_global_state(make_dnn: MakeDNN) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = make_dnn().flat
    assert torch.equal(torch.get_rng_state(), state), "the global random state was used"
    torch.manual_seed(2)
    assert torch.equal(make_dnn().flat, first)
    assert not torch.equal(make_dnn(seed=4).flat, first)


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), max_size=4),
    rule=st.sampled_from(["glorot", "sparse"]),
    seed=st.integers(0, 99),
)
def test_a_sigmoid_network_starts_as_the_tanh_network(
    sizes: list[int], rule: str, seed: int
) -> None:
    sigmoid, tanh = (
        DNN(
            feature_dim=4,
            num_pdfs=3,
            hidden_sizes=sizes,
            activation=activation,
            initialisation=rule,
            seed=seed,
        )
        for activation in ("sigmoid", "tanh")
    )
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(sigmoid(x), tanh(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rule", ["glorot", "sparse"])
def test_the_signal_neither_dies_nor_saturates_in_a_deep_net(activation: str, rule: str) -> None:
    model = DNN(
        feature_dim=200,
        num_pdfs=200,
        hidden_sizes=[200] * 6,
        activation=activation,
        initialisation=rule,
    )
    x = torch.randn(300, 200, generator=torch.Generator().manual_seed(0))
    deviation = float(model(x).detach().std(dim=0).mean())
    assert 0.2 < deviation < 2.0


@pytest.mark.parametrize("inputs", [9, 40])
def test_sparse_units_have_fifteen_inputs_or_all(inputs: int) -> None:
    model = DNN(feature_dim=inputs, num_pdfs=4, hidden_sizes=[50], initialisation="sparse")
    incoming = model.linear_layers()[0].weight.count_nonzero(dim=1)
    assert (incoming == min(15, inputs)).all()
    assert (model.linear_layers()[0].weight.count_nonzero(dim=0) > 0).all()


def test_glorot_variance() -> None:
    model = DNN(feature_dim=300, num_pdfs=10, hidden_sizes=[200], activation="tanh")
    weight = model.linear_layers()[0].weight.detach()
    assert float(weight.var()) == pytest.approx(2 / 500, rel=0.03)
    assert float(weight.abs().max()) <= math.sqrt(6 / 500)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_posteriors_start_near_the_priors(activation: str) -> None:
    model = DNN(feature_dim=30, num_pdfs=50, hidden_sizes=[100, 100], activation=activation)
    counts = torch.logspace(0, 4, 50)
    model.set_log_priors(counts)
    model.start_at_priors()
    x = torch.randn(2000, 30, generator=torch.Generator().manual_seed(0))
    mean = model(x).detach().softmax(dim=1).mean(dim=0)
    priors = counts / counts.sum()

    def divergence(other: Tensor) -> float:
        return float((priors * (priors / other).log()).sum())

    assert divergence(mean) < 0.2 * divergence(torch.full((50,), 0.02))
