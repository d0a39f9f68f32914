"""Dropout as the optimisers see it: one function an iteration, and none of it on held-out data."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from asr_hf.baselines.objective import whole
from asr_hf.cli.compose import load_config
from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.curvature.chunks import CurvaturePath
from asr_hf.curvature.precision import Precision
from asr_hf.data.frame_draws import FrameDraws, key_of
from asr_hf.hf.objective import Sample, Split
from asr_hf.models.tdnn import TDNN
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.planning.pass_memory import measure_passes

from .exactness import (
    assert_gradient_is_exact,
    assert_iterations_are_functions_of_their_own,
    assert_memory_is_foretold,
    assert_sums_hang_on_no_chunk_and_no_share,
)
from .killed import assert_resumed_to_the_same_bits, run
from .optimisers import hessian_free, stochastic

CPU = torch.device("cpu")
UNITS = np.array([2, 3, 7, 11, 12, 13, 29])
SAMPLE = Sample(Split.TRAIN, UNITS)
ITERATION, SEED = 4, 0


@pytest.fixture
def make(make_objective, stores):
    """An objective with dropout in its fifth iteration."""

    def made(chunk_frames=40, path=CurvaturePath.AUTO, which="dnn", stride=1, **changes):
        dtype = changes.pop("dtype", torch.float64)
        precision = changes.pop("precision", Precision.FP32)
        changes = {"dropout": 0.3, **changes}
        store = stores[Split.TRAIN]
        if which == "tdnn":
            sizes = {"feature_dim": store.dim, "num_pdfs": store.num_pdfs, "hidden_sizes": [5, 4]}
            context = [[-1, 0, 1], [-3, 2]]
            model = TDNN(**(sizes | changes), context=context, seed=3).to(dtype)
        else:
            model = make_objective(dtype=dtype, **changes).model
        objective = FrameObjective(
            model, CrossEntropy(), stores, chunk_frames, path, precision, frame_stride=stride
        )
        objective.begin_iteration(ITERATION)
        return objective

    return made


def numbers_of(objective):
    offsets = objective.stores[Split.TRAIN].offsets
    return torch.cat([torch.arange(offsets[u], offsets[u + 1]) for u in UNITS])


def masks_of(objective, iteration=ITERATION):
    """The factors of each hidden layer of a DNN, for the frames of the sample in order."""
    draws, model = FrameDraws(key_of(SEED, 0, iteration)), objective.model
    return [
        model.mask(depth, draws.at(numbers_of(objective), depth), model.flat)
        for depth in range(len(model.hidden_sizes))
    ]


def rows_of(objective, theta, masks):
    """What each layer of a DNN sees and the logits, spelt out as functions of θ."""
    model, batch = objective.model, objective.stores[Split.TRAIN].gather(UNITS, CPU)
    rows, seen = model.normalise(model.inputs(batch)), []
    act, start = getattr(torch, model.activation), 0
    for depth, linear in enumerate(model.linear_layers()):
        seen.append(rows)
        middle = start + linear.weight.numel()
        stop = middle + len(linear.bias)
        rows = rows @ theta[start:middle].view(linear.weight.shape).T + theta[middle:stop]
        start = stop
        if depth < len(masks):
            rows = act(rows)
            if model.normalisers:
                rows = model.normalisers[depth](rows)
            rows = rows * masks[depth]
    return seen, rows, batch.labels


def assert_products_are_exact(objective, logits_of):
    theta = objective.model.flat.clone()
    jacobian = torch.autograd.functional.jacobian(logits_of, theta)
    p = logits_of(theta).softmax(1)
    hessian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    dense = torch.einsum("tcn,tcd,tdm->nm", jacobian, hessian, jacobian)
    curvature = objective.curvature(theta, SAMPLE)
    for seed in range(2):
        v = torch.randn(len(theta), generator=torch.Generator().manual_seed(seed)).double()
        torch.testing.assert_close(curvature.product(v), dense @ v, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("path", [CurvaturePath.R_OPERATOR, CurvaturePath.DOUBLE_BACKWARD])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("kind", ["none", "rms", "layer", "batch"])
def test_products_equal_the_dense_gauss_newton_matrix(make, kind, activation, path):
    objective = make(path=path, normalisation=kind, activation=activation)
    objective.renew_statistics(objective.model.flat.clone(), SAMPLE)
    masks = masks_of(objective)
    assert_products_are_exact(objective, lambda theta: rows_of(objective, theta, masks)[1])


def test_products_of_a_tdnn_equal_the_dense_gauss_newton_matrix(make):
    objective = make(which="tdnn")
    batch = objective.stores[Split.TRAIN].gather(UNITS, CPU)
    draws = FrameDraws(key_of(SEED, 0, ITERATION), numbers_of(objective))
    inputs, model = objective.model.inputs(replace(batch, draws=draws)), objective.model
    names = [name for name, _ in model.named_parameters()]
    shapes = [p.shape for p in model.parameters()]

    def logits(theta):
        pieces = theta.split([s.numel() for s in shapes])
        state = {n: x.view(s) for n, x, s in zip(names, pieces, shapes, strict=True)}
        return torch.func.functional_call(model, state, (inputs,))

    assert_products_are_exact(objective, logits)


@pytest.mark.parametrize("kind", ["none", "layer"])
def test_loss_and_gradient_are_those_of_the_masked_network(make, kind):
    objective = make(normalisation=kind)
    theta = objective.model.flat.clone().requires_grad_()
    _, logits, labels = rows_of(objective, theta, masks_of(objective))
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    (at,) = torch.autograd.grad(expected, theta)
    loss, gradient = objective.gradient(theta.detach(), SAMPLE)
    assert loss.total == pytest.approx(float(expected.detach()), rel=1e-12)
    torch.testing.assert_close(gradient, at, rtol=1e-11, atol=1e-11)
    assert objective.loss(theta.detach(), SAMPLE).total == pytest.approx(loss.total, rel=1e-12)
    units = sum(g.clone() for _, g in objective.unit_gradients(theta.detach(), SAMPLE))
    torch.testing.assert_close(units, at, rtol=1e-11, atol=1e-11)


def test_the_gradient_is_exact_where_the_r_operator_is_none(make):
    assert_gradient_is_exact(make(which="tdnn", normalisation="rms"), SAMPLE)


def test_kronecker_factors_see_masked_rows(make, fisher_factors):
    objective = make(normalisation="rms")
    theta = objective.model.flat.clone()
    seen, *_ = rows_of(objective, theta, masks_of(objective))
    for factor, rows in zip(fisher_factors(objective, theta, SAMPLE, 5), seen, strict=True):
        a = torch.cat([rows, torch.ones(len(rows), 1).double()], 1)
        torch.testing.assert_close(factor.inputs, a.T @ a / len(a))


@pytest.mark.parametrize("which", ["dnn", "tdnn"])
@pytest.mark.parametrize("stride", [1, 3])
def test_sums_hang_on_no_chunk_and_no_share(make, which, stride):
    assert_sums_hang_on_no_chunk_and_no_share(
        *(make(chunk, which=which, stride=stride) for chunk in (40, 7))
    )


def test_frames_have_their_masks_in_units_of_any_stride(make):
    one, two = make(which="tdnn"), make(which="tdnn", stride=3)
    theta = one.model.flat.clone()
    pieces = Sample(Split.TRAIN, (3 * UNITS[:, None] + np.arange(3)).reshape(-1))
    torch.testing.assert_close(one.gradient(theta, SAMPLE)[1], two.gradient(theta, pieces)[1])


def test_an_iteration_is_one_function_and_the_next_another(make):
    assert_iterations_are_functions_of_their_own(make(), SAMPLE)


def test_nothing_is_dropped_of_held_out_data_and_in_statistics(make):
    dropped, plain = (make(normalisation="batch", dropout=rate) for rate in (0.3, 0.0))
    theta, heldout = plain.model.flat.clone(), whole(plain, Split.HELDOUT)
    for objective in (dropped, plain):
        objective.renew_statistics(theta, SAMPLE)
    for name, tensor in plain.statistics.items():
        assert torch.equal(dropped.statistics[name], tensor)
    assert dropped.loss(theta, heldout).total == plain.loss(theta, heldout).total
    assert dropped.loss(theta, SAMPLE).total != plain.loss(theta, SAMPLE).total


@pytest.mark.parametrize("which", ["dnn", "tdnn"])
def test_minibatches_draw_masks_of_their_own_and_repeat_them(make, which):
    objective = make(which=which)
    theta = objective.model.flat.clone()

    def losses(epoch):
        return [
            float(objective.minibatch_gradient(theta, x)[0])
            for x in objective.minibatches(1, epoch, 32)
        ]

    first = losses(0)
    assert losses(0) == first
    # Frames that come again are drawn anew, in the epoch and in the next one.
    unit = next(objective._shuffled.epoch(1, 0, 32))
    objective._shuffled = SimpleNamespace(epoch=lambda *_: iter([unit, unit]))
    assert len(set(losses(0) + losses(1))) == 4


@pytest.mark.parametrize("kind", ["none", "rms"])
def test_memory_is_foretold(make, kind):
    objective = make(dtype=torch.float32, hidden_sizes=[64, 64], normalisation=kind)
    assert_memory_is_foretold(objective, measure_passes(objective, curvature=True))


def test_bfloat16_products_are_near_those_of_full_precision(make):
    full, half = (make(dtype=torch.float32, precision=p) for p in (Precision.FP32, Precision.BF16))
    theta = full.model.flat.clone()
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(0))
    expected = full.curvature(theta, SAMPLE).product(v)
    found = half.curvature(theta, SAMPLE).product(v)
    assert 1e-5 < (found - expected).norm() / expected.norm() < 0.05


def test_replayed_products_have_the_masks_of_their_iteration(make):
    def record(work):
        work()
        return work

    made = make()
    objective = FrameObjective(made.model, CrossEntropy(), made.stores, 40, record=record)
    theta = made.model.flat.clone()
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(0)).double()
    for iteration in (1, 2):
        made.begin_iteration(iteration)
        objective.begin_iteration(iteration)
        recorded = objective.curvature(theta, SAMPLE)
        expected = made.curvature(theta, SAMPLE).product(v)
        # Other draws must not reach what is recorded.
        objective.begin_iteration(7)
        objective.loss(theta, SAMPLE)
        for _ in range(2):
            torch.testing.assert_close(recorded.product(v), expected, rtol=1e-12, atol=1e-12)


OPTIONS = {
    "hf": ["trainer=hf", "preconditioner=kfac"],
    "hf lbfgs": ["trainer=hf", "preconditioner=lbfgs"],
    "stochastic": ["trainer=hf_stochastic", "preconditioner=kfac"],
    "sgd": ["trainer=sgd", "trainer.batch_frames=32", "trainer.learning_rate=0.05"],
    "adamw": ["trainer=adamw", "trainer.batch_frames=32", "trainer.learning_rate=0.01"],
    "lbfgs": ["trainer=lbfgs"],
}


@pytest.mark.parametrize("which", ["dnn", "tdnn"])
@pytest.mark.parametrize("name", OPTIONS)
def test_optimisers_train_with_it(make, which, name):
    config = load_config(["+recipe=prompts", "sampling=fixed", *OPTIONS[name]])
    sizes = {"which": which, "dtype": torch.float32, "hidden_sizes": [24, 24]}
    objective, plain = (make(**sizes, dropout=rate) for rate in (0.2, 0.0))
    theta, training = objective.model.flat.clone(), whole(plain, Split.TRAIN)
    before = plain.loss(theta, training).mean
    optimiser = instantiate(config.trainer)(objective=objective, theta=theta)
    for _ in range(5):
        optimiser.step()
    assert plain.loss(optimiser.theta, training).mean < 0.95 * before


def sgd(objective):
    config = load_config(["+recipe=prompts", *OPTIONS["sgd"], "trainer.horizon.epochs=5"])
    return instantiate(config.trainer)(objective=objective, theta=objective.model.flat.clone())


@pytest.mark.parametrize("make_optimiser", [hessian_free, stochastic, sgd])
def test_killed_run_continues_to_the_same_bits(make, tmp_path, make_optimiser):
    def trained(path, kill_at=None):
        objective = make(dtype=torch.float32)
        return run(make_optimiser(objective), objective, path, kill_at)

    assert_resumed_to_the_same_bits(trained, tmp_path)


def test_hf_asks_for_the_draws_of_each_iteration_once(make):
    objective, asked = make(), []
    inner = objective.begin_iteration
    objective.begin_iteration = lambda n: (asked.append(n), inner(n))
    for optimiser in (hessian_free(objective), stochastic(objective)):
        asked.clear()
        for _ in range(3):
            optimiser.step()
        assert asked == [0, 1, 2]
