"""Losses, gradients and Gauss-Newton products of any module, against dense float64 matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as f
from torch import nn

from asr_hf.hf.objective import Sample, Split
from asr_hf.optim.known_losses import output_loss
from asr_hf.runtime.errors import InputError

from .problems import CASES, COUNT, MODULES, dense, everything, make, mlp, objective_of, reduced

SQUARES = CASES["sum of squares"]


def head(case):
    """A module whose outputs have the shape of a case."""
    torch.manual_seed(1)
    width = int(np.prod(case.shape))
    layers = [nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, width), nn.Unflatten(1, case.shape)]
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("name", CASES)
def test_losses_gradients_and_products_are_those_of_their_definition(name):
    case = CASES[name]
    module, (_, inputs) = head(case), make("perceptron")
    objective = objective_of(module, inputs, case.loss, case.targets)
    theta, sample = objective.network.theta(), everything()
    losses = reduced(case, module(inputs))
    found, gradient = objective.gradient(theta, sample)
    torch.testing.assert_close(found.per_unit, losses.detach())
    assert found.mean == pytest.approx(float(losses.detach().mean()))
    assert objective.loss(theta, sample).total == pytest.approx(found.total)
    expected = torch.autograd.grad(losses.sum(), list(module.parameters()))
    torch.testing.assert_close(gradient, torch.cat([g.reshape(-1) for g in expected]))
    matrix = dense(objective, inputs, case, Split.TRAIN)
    curvature = objective.curvature(theta, sample)
    products = torch.stack([curvature.product(v) for v in torch.eye(len(theta)).double()])
    torch.testing.assert_close(products, matrix, atol=1e-11, rtol=1e-9)


@pytest.mark.parametrize("split", Split)
@pytest.mark.parametrize("name", MODULES)
def test_products_are_those_of_any_kind_of_module(name, split):
    module, inputs = make(name)
    module.eval()
    objective = objective_of(module, inputs, SQUARES.loss, SQUARES.targets, chunk_size=COUNT)
    theta = objective.network.theta()
    matrix = _seeded_dense(objective, inputs, split)
    curvature = objective.curvature(theta, everything(split))
    for seed in range(3):
        vector = torch.randn(len(theta), generator=torch.Generator().manual_seed(seed)).double()
        torch.testing.assert_close(
            curvature.product(vector), matrix @ vector, atol=1e-11, rtol=1e-9
        )
    assert not any(m.training for m in module.modules())


def _seeded_dense(objective, inputs, split):
    with objective._seeded(0):
        return dense(objective, inputs, SQUARES, split)


@pytest.mark.parametrize("name", ["perceptron", "recurrent", "transformer"])
def test_chunks_change_nothing_but_what_dropout_drops(name):
    module, inputs = make(name)
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
        if isinstance(layer, nn.MultiheadAttention):
            layer.dropout = 0.0
    whole, parts = (
        objective_of(module, inputs, SQUARES.loss, SQUARES.targets, chunk_size=size)
        for size in (COUNT, 2)
    )
    theta, sample = whole.network.theta(), Sample(Split.TRAIN, np.array([0, 2, 3, 5, 6]))
    (loss, gradient), (other, again) = (o.gradient(theta, sample) for o in (whole, parts))
    torch.testing.assert_close(loss.per_unit, other.per_unit)
    torch.testing.assert_close(gradient, again)
    products = [o.curvature(theta, sample).product(theta) for o in (whole, parts)]
    torch.testing.assert_close(*products)


def test_dropout_is_one_function_of_theta_within_an_iteration_and_another_in_the_next():
    module, inputs = make("convolutional")
    objective = objective_of(module, inputs, SQUARES.loss, SQUARES.targets)
    theta, state = objective.network.theta(), torch.get_rng_state()
    losses = [objective.loss(theta, everything()).total for _ in range(2)]
    assert losses[0] == losses[1] == objective.gradient(theta, everything())[0].total
    heldout = objective.loss(theta, everything(Split.HELDOUT)).total
    objective.begin_iteration(1)
    assert objective.loss(theta, everything()).total != losses[0]
    assert objective.loss(theta, everything(Split.HELDOUT)).total == heldout
    assert torch.equal(torch.get_rng_state(), state)


def test_batch_normalisation_goes_by_statistics_that_are_renewed_or_by_the_sample():
    module, inputs = make("convolutional")
    module[2].p = 0.0
    objective = objective_of(module, inputs, SQUARES.loss, SQUARES.targets, chunk_size=COUNT)
    theta, sample = objective.network.theta(), everything()
    before = {name: value.clone() for name, value in objective.statistics.items()}
    objective.gradient(theta, sample)
    objective.curvature(theta, sample).product(theta)
    assert all(torch.equal(value, before[name]) for name, value in objective.statistics.items())
    assert objective.renew_statistics(theta, sample) == 1
    rows = module[0](inputs).transpose(0, 1).reshape(3, -1)
    torch.testing.assert_close(module[1].running_mean, rows.mean(1).detach())
    torch.testing.assert_close(module[1].running_var, rows.var(1).detach())
    assert module[1].momentum == 0.1
    module.train()
    with objective.statistics_of_samples():
        found = objective.loss(theta, sample).total
    expected = reduced(SQUARES, module(inputs)).sum()
    assert found == pytest.approx(float(expected.detach()))


@pytest.mark.parametrize("name", ["perceptron", "recurrent", "named", "residual"])
def test_unit_gradients_are_those_of_single_examples(name):
    module, inputs = make(name)
    objective = objective_of(module, inputs, SQUARES.loss, SQUARES.targets)
    theta, sample = objective.network.theta(), Sample(Split.TRAIN, np.array([1, 4]))
    found = [(n, g.clone()) for n, g in objective.unit_gradients(theta, sample)]
    for (count, gradient), number in zip(found, sample.units, strict=True):
        alone = objective.gradient(theta, Sample(Split.TRAIN, np.array([number])))[1]
        assert count == 1
        torch.testing.assert_close(gradient, alone)


def test_affine_layers_show_their_rows_whatever_comes_behind_them():
    """In place, and on inputs with positions."""
    torch.manual_seed(0)
    module = nn.Sequential(mlp(), nn.Flatten(), nn.Linear(6, 3)).double()
    x = torch.randn(COUNT, 2, 5).double()
    objective = objective_of(module, x, SQUARES.loss, SQUARES.targets, chunk_size=4)
    rows: dict[int, list[torch.Tensor]] = {}
    slopes: dict[int, list[torch.Tensor]] = {}
    objective.layer_gradients(
        objective.network.theta(),
        everything(),
        5,
        lambda n, a: rows.setdefault(n, []).append(a.clone()),
        lambda n, g: slopes.setdefault(n, []).append(g.clone()),
    )
    names = list(objective.network.layers)
    assert names == ["0.0", "0.2", "0.4", "2"]
    net = module[0]
    hidden = torch.tanh(net[0](x))
    torch.testing.assert_close(torch.cat(rows[0]), x.reshape(-1, 5))
    torch.testing.assert_close(torch.cat(rows[1]), hidden.reshape(-1, 6).detach())
    last = torch.cat(slopes[3])
    torch.testing.assert_close(
        torch.cat(slopes[2]), (last @ module[2].weight).reshape(-1, 3).detach()
    )


@pytest.mark.parametrize("name", CASES)
def test_draws_have_the_covariance_of_the_curvature(name):
    case, count = CASES[name], 40_000
    loss = output_loss(case.loss)
    outputs = torch.randn(1, *case.shape, generator=torch.Generator().manual_seed(2)).double()
    repeated = outputs.expand(count, *case.shape).contiguous()
    targets = case.targets[:1].expand(count, *case.targets.shape[1:]).contiguous()
    generator = torch.Generator().manual_seed(0)
    draws = loss.sampled_gradient(
        repeated, targets, lambda k: torch.rand(count, k, generator=generator, dtype=torch.float64)
    ).reshape(count, -1)
    width = draws.shape[1]
    curvature = loss.curvature(outputs, case.targets[:1])
    units = torch.eye(width).double().view(width, 1, *case.shape)
    matrix = torch.stack([curvature(unit).reshape(-1) for unit in units])
    scale = float(matrix.abs().max())
    torch.testing.assert_close(draws.T @ draws / count, matrix, atol=0.03 * scale, rtol=0.03)
    assert float(draws.mean(0).abs().max()) < 0.03 * scale**0.5


@pytest.mark.parametrize(
    ("module", "loss", "targets", "said"),
    [
        (mlp, nn.NLLLoss(), torch.zeros(COUNT).long(), "CrossEntropyLoss"),
        (mlp, f.l1_loss, torch.zeros(COUNT, 3), "HuberLoss"),
        (mlp, lambda z, y: -(z - y).square().mean(), torch.zeros(COUNT, 3), "not convex"),
        (mlp, nn.CrossEntropyLoss(), torch.zeros(COUNT, 7), "outputs [7, 3]"),
        (mlp, lambda z, y: z - y, torch.zeros(COUNT, 3), "one value for each example"),
        (lambda: nn.Sequential(mlp(), nn.Flatten(0)), nn.MSELoss(), torch.zeros(COUNT, 3), "row"),
        (lambda: nn.LSTM(5, 3), nn.MSELoss(), torch.zeros(COUNT, 3), "returns tuple"),
        (nn.Identity, nn.MSELoss(), torch.zeros(COUNT, 5), "parameters are none"),
        (
            lambda: nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3, track_running_stats=False)),
            nn.MSELoss(),
            torch.zeros(COUNT, 3),
            "track_running_stats",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_with_the_reason(module, loss, targets, said):
    torch.manual_seed(0)
    with pytest.raises(InputError) as caught:
        objective_of(module(), torch.randn(COUNT, 5), loss, targets).check(np.arange(COUNT))
    assert said in str(caught.value)


def test_parameters_of_two_types_are_refused_and_lazy_ones_too():
    module = mlp()
    module[0].double()
    with pytest.raises(InputError, match=r"float32 on cpu.*float64"):
        objective_of(module, torch.randn(COUNT, 5), nn.MSELoss(), torch.zeros(COUNT, 3))
    with pytest.raises(InputError, match="no shape yet"):
        objective_of(nn.LazyLinear(3), torch.randn(COUNT, 5), nn.MSELoss(), torch.zeros(COUNT, 3))


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return g


class Rough(nn.Linear):
    def forward(self, x):
        return Once.apply(super().forward(x))


def test_an_operation_that_can_be_differentiated_once_alone_is_named_as_such():
    objective = objective_of(
        Rough(5, 3), torch.randn(COUNT, 5), nn.MSELoss(), torch.zeros(COUNT, 3)
    )
    theta = objective.network.theta()
    with pytest.raises(InputError, match="differentiated twice"):
        objective.curvature(theta, everything()).product(theta)
