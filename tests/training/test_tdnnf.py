"""The factorised TDNN and its constraint as the optimisers see them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from asr_hf.baselines.objective import whole
from asr_hf.cli.compose import load_config
from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.curvature.affine import LayerTap
from asr_hf.curvature.chunks import CurvaturePath
from asr_hf.curvature.unit_moments import UnitMoments
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.penalty import penalised
from asr_hf.hf.statistics import SampleStatistics
from asr_hf.runtime.errors import InputError
from asr_hf.training.constrained_objective import ConstrainedObjective
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.model_file import build_model
from asr_hf.training.planning.memory import problem_size
from asr_hf.training.planning.pass_memory import measure_passes
from asr_hf.training.pretraining import pretrain_layers

from .exactness import (
    assert_gradient_is_exact,
    assert_memory_is_foretold,
    assert_sums_hang_on_no_chunk_and_no_share,
)
from .killed import assert_resumed_to_the_same_bits, run
from .optimisers import hessian_free, stochastic

CPU = torch.device("cpu")
UNITS = np.array([2, 3, 7, 11, 12, 13, 29])
SAMPLE = Sample(Split.TRAIN, UNITS)
RHO = 0.7
CONFIG = {
    "_target_": "asr_hf.models.tdnnf.TDNNF",
    "context": [-1, 0],
    "strides": [1, 2],
    "hidden_size": 4,
    "bottleneck_size": 3,
    "prefinal_size": 2,
    "semi_orthogonal": RHO,
}
LARGE = {"hidden_size": 24, "bottleneck_size": 8, "prefinal_size": 8}


@pytest.fixture
def make(stores):
    """An objective whose bottlenecks are not semi-orthogonal, with or without the constraint."""

    def made(chunk_frames=40, dtype=torch.float64, constrained=True, stride=1, **changes):
        store = stores[Split.TRAIN]
        model = build_model(CONFIG | changes, store.dim, store.num_pdfs, seed=3).to(dtype)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for layer in model.bottlenecks:
                drawn = torch.randn(layer.weight.shape, generator=generator)
                layer.weight.add_(0.5 * drawn / layer.in_features**0.5)
        given = (model, CrossEntropy(), stores, chunk_frames)
        if constrained:
            return ConstrainedObjective(model.constraint(), *given, frame_stride=stride)
        return FrameObjective(*given, frame_stride=stride)

    return made


def frames_of(objective, sample):
    return int(objective.unit_frames(sample.split)[sample.units].sum())


def functional_logits(model, inputs, theta):
    pieces = theta.split([p.numel() for p in model.parameters()])
    state = {
        name: piece.view(parameter.shape)
        for (name, parameter), piece in zip(model.named_parameters(), pieces, strict=True)
    }
    return torch.func.functional_call(model, state, (inputs,))


def residuals(objective, theta, held):
    """What the constraint squares, given α² of each matrix."""
    found = []
    for layer, scale in zip(objective.model.constraint().layers, held, strict=True):
        p, _ = layer.views(theta)
        r = p @ p.T / scale - torch.eye(len(p), dtype=p.dtype)
        found.append((RHO / len(p)) ** 0.5 * r.flatten())
    return torch.cat(found)


def scales(objective, theta):
    grams = [p @ p.T for p, _ in (x.views(theta) for x in objective.model.constraint().layers)]
    return [(g @ g).trace() / g.trace() for g in grams]


@pytest.mark.parametrize("kind", ["none", "rms", "layer", "batch"])
def test_products_equal_the_dense_gauss_newton_matrix(make, kind):
    objective = make(normalisation=kind)
    theta, model = objective.model.flat.clone(), objective.model
    objective.renew_statistics(theta, SAMPLE)
    inputs = model.inputs(objective.stores[Split.TRAIN].gather(UNITS, CPU))
    logits = functional_logits(model, inputs, theta)
    jacobian = torch.autograd.functional.jacobian(
        lambda t: functional_logits(model, inputs, t), theta
    )
    p = logits.softmax(1)
    hessian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    dense = torch.einsum("tcn,tcd,tdm->nm", jacobian, hessian, jacobian)
    held = scales(objective, theta)
    own = torch.autograd.functional.jacobian(lambda t: residuals(objective, t, held), theta)
    dense = dense + frames_of(objective, SAMPLE) * own.T @ own
    curvature = objective.curvature(theta, SAMPLE)
    for seed in range(2):
        v = torch.randn(len(theta), generator=torch.Generator().manual_seed(seed)).double()
        for found in (curvature.product(v), curvature.exact_product(v)):
            torch.testing.assert_close(found, dense @ v, rtol=1e-10, atol=1e-10)


def test_loss_and_gradient_are_those_of_the_sum(make):
    objective, plain = make(), make(constrained=False)
    theta = objective.model.flat.clone().requires_grad_()
    batch = objective.stores[Split.TRAIN].gather(UNITS, CPU)
    logits = functional_logits(objective.model, objective.model.inputs(batch), theta)
    data = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="sum")
    own = 0.5 * residuals(objective, theta, scales(objective, theta)).square().sum()
    (at,) = torch.autograd.grad(data + len(logits) * own, theta)
    theta = theta.detach()
    loss, gradient = objective.gradient(theta, SAMPLE)
    torch.testing.assert_close(gradient, at, rtol=1e-10, atol=1e-10)
    for found in (loss, objective.loss(theta, SAMPLE)):
        assert found.total == pytest.approx((data + len(logits) * own).item(), rel=1e-12)
        assert float(found.per_unit.sum()) == pytest.approx(found.total, rel=1e-12)
        assert found.penalty == pytest.approx(float(own.detach()), rel=1e-12) and own > 0.01
        assert found.data_mean == pytest.approx(plain.loss(theta, SAMPLE).mean, rel=1e-12)
    units = sum(g.clone() for _, g in objective.unit_gradients(theta, SAMPLE))
    torch.testing.assert_close(units, at, rtol=1e-10, atol=1e-10)


def test_the_gradient_equals_finite_differences(make):
    assert_gradient_is_exact(make(), SAMPLE)


def test_held_out_data_have_no_constraint(make):
    objective, plain = make(), make(constrained=False)
    theta, heldout = plain.model.flat.clone(), whole(plain, Split.HELDOUT)
    assert objective.loss(theta, heldout).total == plain.loss(theta, heldout).total
    found, expected = (x.gradient(theta, heldout)[1] for x in (objective, plain))
    assert torch.equal(found, expected)
    v = torch.ones_like(theta)
    found, expected = (x.curvature(theta, heldout).product(v) for x in (objective, plain))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_sums_hang_on_no_chunk_and_no_share(make, stride, dropout):
    assert_sums_hang_on_no_chunk_and_no_share(
        *(make(chunk, stride=stride, dropout=dropout) for chunk in (40, 7))
    )


def test_minibatches_have_it_beside_the_mean_loss(make):
    objective, plain = make(), make(constrained=False)
    theta = plain.model.flat.clone()
    own = plain.model.constraint().add_gradient(torch.zeros_like(theta), theta, 1)
    pairs = zip(*(x.minibatches(1, 0, 32) for x in (objective, plain)), strict=True)
    for one, other in pairs:
        loss, gradient = objective.minibatch_gradient(theta, one)
        expected, data = plain.minibatch_gradient(theta, other)
        assert float(loss) == float(expected)
        torch.testing.assert_close(gradient, data + own, rtol=1e-12, atol=1e-12)


def test_weight_decay_adds_to_it(make):
    objective = make()
    theta = objective.model.flat.clone()
    decayed = penalised(objective, theta, weight_decay=0.1)
    loss, own = decayed.loss(theta, SAMPLE), objective.loss(theta, SAMPLE)
    assert loss.penalty > own.penalty > 0
    assert loss.data_mean == pytest.approx(own.data_mean, rel=1e-12)


def test_the_variance_of_gradients_is_that_of_the_data(make):
    found = []
    for objective in (make(), make(constrained=False)):
        theta = objective.model.flat.clone()
        loss, gradient = objective.gradient(theta, SAMPLE)
        statistics = SampleStatistics(objective, theta, SAMPLE, gradient / loss.num_frames, 3)
        moments = statistics.accumulate(UnitMoments(statistics.gradient, statistics.space))
        found.append(moments.variance)
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_kronecker_factors_of_bottlenecks_have_no_row_for_a_bias(make, fisher_factors):
    objective = make(chunk_frames=1)
    model, theta = objective.model, objective.model.flat.clone()
    factors = fisher_factors(objective, theta, SAMPLE, 5)
    names = model.affine_layers()
    rows = [[] for _ in names]
    tap = LayerTap({name: model.get_submodule(name) for name in names})
    for unit in UNITS:
        batch = objective.stores[Split.TRAIN].gather(np.array([unit]), CPU)
        with tap.tapped(lambda number, a: rows[number].append(a)):
            model(model.inputs(batch))
    for factor, layer, seen in zip(factors, names.values(), rows, strict=True):
        a = torch.cat(seen)
        if layer.bias:
            a = torch.cat([a, torch.ones(len(a), 1).double()], 1)
        assert (factor.start, factor.bias) == (layer.start, layer.bias)
        assert factor.outputs.shape == (layer.outputs, layer.outputs)
        torch.testing.assert_close(factor.inputs, a.T @ a / len(a))


def test_nothing_is_left_to_the_identity_and_memory_is_foretold(make):
    assert problem_size(make()).others == ()
    # Single frames: the utterances here are short, and their padding is most of their rows.
    objective = make(dtype=torch.float32, normalisation="rms", dropout=0.3, stride=3, **LARGE)
    assert_memory_is_foretold(objective, measure_passes(objective, curvature=True))


OPTIONS = {
    "hf kfac": ["trainer=hf", "preconditioner=kfac"],
    "hf lbfgs": ["trainer=hf", "preconditioner=lbfgs"],
    "hf shampoo": ["trainer=hf", "preconditioner=shampoo"],
    "stochastic": ["trainer=hf_stochastic", "preconditioner=kfac"],
    "sgd": ["trainer=sgd", "trainer.batch_frames=32", "trainer.learning_rate=0.05"],
    "adamw": ["trainer=adamw", "trainer.batch_frames=32", "trainer.learning_rate=0.01"],
    "muon": ["trainer=muon", "trainer.batch_frames=32", "trainer.learning_rate=0.01"],
    "lbfgs": ["trainer=lbfgs"],
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_optimiser_lowers_the_loss_and_the_constraint(make, name):
    config = load_config(["+recipe=prompts", "model=tdnnf", "sampling=fixed", *OPTIONS[name]])
    objective = make(dtype=torch.float32, **LARGE)
    theta, constraint = objective.model.flat.clone(), objective.model.constraint()
    plain = make(dtype=torch.float32, constrained=False, **LARGE)
    training = whole(plain, Split.TRAIN)
    before, apart = plain.loss(theta, training).mean, constraint.value(theta)
    optimiser = instantiate(config.trainer)(objective=objective, theta=theta)
    for _ in range(6):
        optimiser.step()
    assert plain.loss(optimiser.theta, training).mean < 0.95 * before
    assert constraint.value(optimiser.theta) < 0.9 * apart


def test_a_stronger_constraint_keeps_nearer_to_it(make):
    found = []
    for strength in (0.0, 0.3, 10.0):
        objective = make(
            dtype=torch.float32, constrained=strength > 0, semi_orthogonal=strength, **LARGE
        )
        optimiser = hessian_free(objective)
        while not optimiser.finished:
            optimiser.step()
        model = make(semi_orthogonal=1.0, **LARGE).model
        found.append(model.constraint().value(optimiser.theta))
    assert found == sorted(found, reverse=True) and found[-1] < 0.1 * found[0]


def test_events_tell_the_loss_of_the_data(make):
    made = (make(dtype=torch.float32, constrained=constrained) for constrained in (True, False))
    found, expected = (hessian_free(objective).step()["train_loss"] for objective in made)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("make_optimiser", [hessian_free, stochastic])
def test_killed_run_continues_to_the_same_bits(make, tmp_path, make_optimiser):
    def trained(path, kill_at=None):
        objective = make(dtype=torch.float32, dropout=0.2)
        return run(make_optimiser(objective), objective, path, kill_at)

    assert_resumed_to_the_same_bits(trained, tmp_path)


def test_the_r_operator_and_pretraining_refuse_it(make):
    made = make()
    with pytest.raises(InputError, match="no plain DNN"):
        FrameObjective(made.model, CrossEntropy(), made.stores, 40, CurvaturePath.R_OPERATOR)
    with pytest.raises(InputError, match="model=dnn"):
        pretrain_layers(made, dict)
