"""Normalised networks as the optimisers see them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from asr_hf.baselines.lbfgs import LBFGS
from asr_hf.baselines.objective import whole
from asr_hf.baselines.schedules import Newbob
from asr_hf.baselines.sgd import SGD
from asr_hf.cli.compose import load_config
from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.curvature.chunks import CurvaturePath
from asr_hf.curvature.normalisation import Normalisation
from asr_hf.curvature.precision import Precision
from asr_hf.hf.horizon import Horizon
from asr_hf.hf.objective import Sample, Split
from asr_hf.models.tdnn import TDNN
from asr_hf.training.batch_statistics import measure_at_start
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.planning.allocation_probe import measured
from asr_hf.training.planning.pass_memory import measure_passes
from asr_hf.training.pretraining import pretrain_layers

from .exactness import assert_gradient_is_exact, assert_memory_is_foretold
from .killed import Killed, events, run
from .optimisers import hessian_free, stochastic

CPU = torch.device("cpu")
UNITS = np.array([2, 3, 7, 11, 12, 13, 29])
SAMPLE = Sample(Split.TRAIN, UNITS)
NORMALISED = [kind for kind in Normalisation if kind is not Normalisation.NONE]


@pytest.fixture
def make_tdnn_objective(stores):
    def make(normalisation, chunk_frames=40, dtype=torch.float64, hidden_sizes=(5, 4)):
        store = stores[Split.TRAIN]
        model = TDNN(
            feature_dim=store.dim,
            num_pdfs=store.num_pdfs,
            context=[[-1, 0, 1], [-3, 2]],
            hidden_sizes=hidden_sizes,
            normalisation=normalisation,
            seed=3,
        )
        return FrameObjective(model.to(dtype), CrossEntropy(), stores, chunk_frames)

    return make


def logits_of(objective, theta):
    """Logits of all frames of the sample, as a function of θ."""
    batch = objective.stores[Split.TRAIN].gather(UNITS, CPU)
    names = [name for name, _ in objective.model.named_parameters()]
    sizes = [p.numel() for p in objective.model.parameters()]
    shapes = [p.shape for p in objective.model.parameters()]
    pieces = (x.view(s) for x, s in zip(theta.split(sizes), shapes, strict=True))
    state = dict(zip(names, pieces, strict=True))
    inputs = objective.model.inputs(batch)
    return torch.func.functional_call(objective.model, state, (inputs,)), batch.labels


def assert_products_are_exact(objective):
    theta = objective.model.flat.clone()
    objective.renew_statistics(theta, SAMPLE)
    jacobian = torch.autograd.functional.jacobian(lambda t: logits_of(objective, t)[0], theta)
    p = logits_of(objective, theta)[0].softmax(1)
    hessian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    dense = torch.einsum("tcn,tcd,tdm->nm", jacobian, hessian, jacobian)
    curvature = objective.curvature(theta, SAMPLE)
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        v = torch.randn(len(theta), generator=generator, dtype=torch.float64)
        torch.testing.assert_close(curvature.product(v), dense @ v, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("path", [CurvaturePath.R_OPERATOR, CurvaturePath.DOUBLE_BACKWARD])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("kind", NORMALISED)
def test_products_equal_the_dense_gauss_newton_matrix(make_objective, kind, activation, path):
    made = make_objective(activation=activation, normalisation=kind)
    assert_products_are_exact(FrameObjective(made.model, CrossEntropy(), made.stores, 40, path))


@pytest.mark.parametrize("kind", NORMALISED)
def test_products_of_a_tdnn_equal_the_dense_gauss_newton_matrix(make_tdnn_objective, kind):
    assert_products_are_exact(make_tdnn_objective(kind))


@pytest.mark.parametrize("kind", NORMALISED)
def test_gradient_equals_finite_differences(make_objective, kind):
    objective = make_objective(normalisation=kind)
    objective.renew_statistics(objective.model.flat.clone(), SAMPLE)
    assert_gradient_is_exact(objective, SAMPLE)


@pytest.mark.parametrize("kind", NORMALISED)
def test_bfloat16_products_are_near_those_of_full_precision(make_objective, kind):
    full = make_objective(dtype=torch.float32, normalisation=kind)
    half = FrameObjective(full.model, CrossEntropy(), full.stores, 40, precision=Precision.BF16)
    theta = full.model.flat.clone()
    full.renew_statistics(theta, SAMPLE)
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(0))
    expected = full.curvature(theta, SAMPLE).product(v)
    found = half.curvature(theta, SAMPLE).product(v)
    assert 1e-5 < (found - expected).norm() / expected.norm() < 0.05


@pytest.mark.parametrize("kind", NORMALISED)
def test_kronecker_factors_see_normalised_rows(make_objective, fisher_factors, kind):
    objective = make_objective(normalisation=kind)
    model, theta = objective.model, objective.model.flat.clone()
    objective.renew_statistics(theta, SAMPLE)
    batch = objective.stores[Split.TRAIN].gather(UNITS, CPU)
    rows, inputs = model.normalise(model.inputs(batch)), []
    for depth in range(3):
        inputs.append(torch.cat([rows, torch.ones(len(rows), 1).double()], 1).detach())
        rows = model.hidden_outputs(depth, rows) if depth < 2 else None
    found = fisher_factors(objective, theta, SAMPLE, 5)
    for factor, a in zip(found, inputs, strict=True):
        torch.testing.assert_close(factor.inputs, a.T @ a / len(a))


@pytest.mark.parametrize("which", ["dnn", "tdnn"])
@pytest.mark.parametrize("chunk_frames", [1, 17, 10_000])
def test_statistics_are_those_of_the_sample_whatever_its_chunks(
    make_objective, make_tdnn_objective, which, chunk_frames
):
    if which == "dnn":
        one, two = (make_objective(c, normalisation="batch") for c in (40, chunk_frames))
    else:
        one, two = (make_tdnn_objective("batch", c) for c in (40, chunk_frames))
    for objective in (one, two):
        assert objective.renew_statistics(objective.model.flat.clone(), SAMPLE) == 2
    for name, tensor in one.statistics.items():
        torch.testing.assert_close(two.statistics[name], tensor)
    frames = int(one.unit_frames(Split.TRAIN)[UNITS].sum())
    assert one.frames_by_pass["loss"] == 2 * frames


def test_a_layer_is_measured_on_top_of_the_new_statistics_below_it(make_objective):
    objective = make_objective(normalisation="batch")
    model = objective.model
    objective.renew_statistics(model.flat.clone(), SAMPLE)
    rows = model.normalise(model.inputs(objective.stores[Split.TRAIN].gather(UNITS, CPU)))
    for depth in range(2):
        rows = model.hidden_outputs(depth, rows)
        torch.testing.assert_close(rows.mean(0), torch.zeros_like(rows[0]), atol=1e-7, rtol=0)
        torch.testing.assert_close(
            rows.var(0, correction=0), torch.ones_like(rows[0]), rtol=0.01, atol=0
        )


@pytest.mark.parametrize("kind", ["none", "rms", "layer"])
def test_other_networks_have_no_statistics(make_objective, kind):
    objective = make_objective(normalisation=kind)
    assert objective.renew_statistics(objective.model.flat.clone(), SAMPLE) == 0
    assert not objective.statistics and objective.frames_by_pass["loss"] == 0


@pytest.mark.parametrize("kind", NORMALISED)
def test_memory_is_foretold(make_objective, stores, kind):
    objective = make_objective(dtype=torch.float32, hidden_sizes=[64, 64], normalisation=kind)
    passes = measure_passes(objective, curvature=True)
    assert_memory_is_foretold(objective, passes)
    frames = stores[Split.TRAIN].num_frames
    with objective.in_one_chunk(), measured(CPU) as usage:
        objective.renew_statistics(objective.model.flat.clone(), whole(objective, Split.TRAIN))
    assert usage.peak <= 1.05 * max(passes.loss.at(frames), passes.gradient.at(frames))


def of_a_minibatch(objective, theta):
    """A minibatch's inputs, labels, mean loss and its gradient."""
    inputs, labels, frames = next(objective.minibatches(1, 0, 32))
    loss, gradient = objective.minibatch_gradient(theta, (inputs, labels, frames))
    return inputs, labels, float(loss), gradient.clone()


def of_a_sample(objective, theta):
    """The same of a sample that normalises itself."""
    batch = objective.stores[Split.TRAIN].gather(UNITS, CPU)
    with objective.in_one_chunk(), objective.statistics_of_samples():
        loss, gradient = objective.gradient(theta, SAMPLE)
    return objective.model.inputs(batch), batch.labels, loss.mean, gradient / loss.num_frames


@pytest.mark.parametrize("of", [of_a_minibatch, of_a_sample])
def test_minibatches_and_samples_are_normalised_by_themselves(make_objective, of):
    objective = make_objective(normalisation="batch")
    model, theta = objective.model, objective.model.flat.clone()
    inputs, labels, loss, gradient = of(objective, theta)
    rows, leaves = model.normalise(inputs), list(model.parameters())
    norm = torch.nn.BatchNorm1d
    *hidden, output = model.linear_layers()
    for layer in hidden:
        made = norm(layer.out_features, affine=False, dtype=torch.float64)
        rows = made(torch.sigmoid(layer(rows)))
    expected = torch.nn.functional.cross_entropy(output(rows), labels.long())
    assert loss == pytest.approx(float(expected.detach()), rel=1e-12)
    pieces = torch.autograd.grad(expected, leaves)
    torch.testing.assert_close(gradient, torch.cat([p.reshape(-1) for p in pieces]))
    # The held-out loss is by what followed from these frames, and leaves it alone.
    before = {name: tensor.clone() for name, tensor in objective.statistics.items()}
    assert all(int(t) == 1 for n, t in before.items() if n.endswith("renewals"))
    objective.loss(theta, whole(objective, Split.HELDOUT))
    assert all(torch.equal(t, before[n]) for n, t in objective.statistics.items())


def sgd(objective):
    return SGD(
        objective=objective,
        theta=objective.model.flat.clone(),
        learning_rate=0.1,
        schedule=Newbob(),
        batch_frames=32,
        horizon=Horizon(6),
        seed=1,
    )


def lbfgs(objective):
    measure_at_start(objective, objective.model.flat.clone(), 1)
    return LBFGS(objective=objective, theta=objective.model.flat.clone(), max_iterations=6)


def test_statistics_are_renewed_once_an_iteration(make_objective):
    objective = make_objective(normalisation="batch")
    optimiser, asked, inner = hessian_free(objective), [], objective.loss

    def loss(theta, sample):
        asked.append(int(objective.statistics["normalisers.0.renewals"]))
        return inner(theta, sample)

    objective.loss = loss
    for iteration in range(1, 4):
        asked.clear()
        optimiser.step()
        # Also the loss before the step: the one after the last step was another function's.
        assert set(asked) == {iteration} and len(asked) >= 2
    assert len(optimiser.losses) == 4


def test_a_full_batch_baseline_keeps_one_function(make_objective):
    objective = make_objective(normalisation="batch")
    optimiser = lbfgs(objective)
    losses = [optimiser.step()["train_loss"] for _ in range(4)]
    assert losses == sorted(losses, reverse=True)
    assert int(objective.statistics["normalisers.1.renewals"]) == 1


@pytest.mark.parametrize("make_optimiser", [hessian_free, stochastic, sgd, lbfgs])
@pytest.mark.parametrize("kill_at", [0, 1, 4])
def test_killed_run_continues_to_the_same_bits(make_objective, tmp_path, make_optimiser, kill_at):
    def objective():
        return make_objective(dtype=torch.float32, normalisation="batch")

    def trained(path, kill_at=None):
        made = objective()
        return run(make_optimiser(made), made, path, kill_at)

    undisturbed = trained(tmp_path / "whole")
    with pytest.raises(Killed):
        trained(tmp_path / "cut", kill_at)
    resumed = trained(tmp_path / "cut")
    assert events(tmp_path / "whole") == events(tmp_path / "cut")
    assert torch.equal(undisturbed.best.theta, resumed.best.theta)
    for name, tensor in undisturbed.objective.statistics.items():
        assert torch.equal(resumed.objective.statistics[name], tensor), name
    # What is left is the best model, whole.
    best = resumed.objective.loss(resumed.best.theta, whole(resumed.objective, Split.HELDOUT))
    assert best.mean == resumed.best.loss


def test_an_undone_epoch_takes_its_statistics_along(make_objective):
    objective = make_objective(dtype=torch.float32, normalisation="batch")
    optimiser = sgd(objective)
    assert optimiser.step()["accepted"]
    before = {name: tensor.clone() for name, tensor in objective.statistics.items()}
    optimiser.learning_rate = 1e20
    assert not optimiser.step()["accepted"]
    assert all(torch.equal(t, before[n]) for n, t in objective.statistics.items())


@pytest.mark.parametrize("kind", NORMALISED)
@pytest.mark.parametrize("which", ["dnn", "tdnn"])
@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer=hf", "preconditioner=kfac"],
        ["trainer=hf", "preconditioner=lbfgs"],
        ["trainer=hf_stochastic", "preconditioner=kfac"],
        ["trainer=sgd", "trainer.batch_frames=32", "trainer.learning_rate=0.05"],
        ["trainer=adamw", "trainer.batch_frames=32", "trainer.learning_rate=0.01"],
    ],
    ids=lambda o: " ".join(o[:2]),
)
def test_optimisers_train_them(make_objective, make_tdnn_objective, which, kind, overrides):
    config = load_config(["+recipe=prompts", "sampling=fixed", *overrides])
    if which == "dnn":
        objective = make_objective(dtype=torch.float32, normalisation=kind)
    else:
        objective = make_tdnn_objective(kind, dtype=torch.float32, hidden_sizes=[24, 24])
    theta, training = objective.model.flat.clone(), whole(objective, Split.TRAIN)
    measure_at_start(objective, theta, 1)
    before = objective.loss(theta, training).mean
    optimiser = instantiate(config.trainer)(objective=objective, theta=theta)
    for _ in range(5):
        optimiser.step()
    assert objective.loss(optimiser.theta, training).mean < 0.95 * before


@pytest.mark.parametrize("kind", NORMALISED)
def test_layers_are_pretrained_with_it(make_objective, kind):
    objective = make_objective(dtype=torch.float32, normalisation=kind)
    before = objective.model.linear_layers()[0].weight.clone()
    pretrain_layers(objective, lambda: lambda objective, theta: sgd(objective))
    assert not torch.equal(objective.model.linear_layers()[0].weight, before)
