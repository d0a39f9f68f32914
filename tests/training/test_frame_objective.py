from __future__ import annotations

import numpy as np
import pytest
import torch

from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.curvature.chunks import CurvaturePath
from asr_hf.curvature.precision import Precision
from asr_hf.data.counter_rng import frame_uniforms
from asr_hf.data.splice import splice
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.preconditioners.kfac import KFACPreconditioner
from asr_hf.hf.statistics import SampleStatistics
from asr_hf.training.feeding.units import chunk_bounds
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.planning.memory import problem_size

UNITS = np.array([2, 3, 7, 11, 12, 13, 29])


@pytest.fixture
def sample():
    return Sample(Split.TRAIN, UNITS)


def whole_batch(objective, sample):
    """Spliced inputs and labels of the sample, without chunks."""
    batch = objective.stores[sample.split].gather(sample.units, torch.device("cpu"))
    model = objective.model
    return splice(batch, model.left, model.right, model.flat.dtype), batch.labels


def functional_logits(objective, theta, inputs):
    """The model's logits as a plain function of θ."""
    pieces, start = {}, 0
    for name, parameter in objective.model.named_parameters():
        pieces[name] = theta[start : start + parameter.numel()].view(parameter.shape)
        start += parameter.numel()
    return torch.func.functional_call(objective.model, pieces, (inputs,))


def dense_gauss_newton(objective, theta, sample):
    inputs, _ = whole_batch(objective, sample)

    def logits(t):
        return functional_logits(objective, t, inputs)

    jacobian = torch.autograd.functional.jacobian(logits, theta)
    p = logits(theta).softmax(1)
    hessian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    return torch.einsum("tcn,tcd,tdm->nm", jacobian, hessian, jacobian)


@pytest.mark.parametrize("path", [CurvaturePath.R_OPERATOR, CurvaturePath.DOUBLE_BACKWARD])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_curvature_equals_dense_jacobian_product(make_objective, sample, path, activation):
    made = make_objective(activation=activation)
    objective = FrameObjective(made.model, CrossEntropy(), made.stores, 40, path)
    theta = objective.model.flat.clone()
    dense = dense_gauss_newton(objective, theta, sample)
    curvature = objective.curvature(theta, sample)
    for seed in range(2):
        v = torch.randn(
            len(theta), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        torch.testing.assert_close(curvature.product(v), dense @ v, rtol=1e-12, atol=1e-12)
    assert curvature.num_frames == len(whole_batch(objective, sample)[1])


def test_gradient_and_loss_equal_autograd_on_the_whole_batch(make_objective, sample):
    objective = make_objective()
    theta = objective.model.flat.clone().requires_grad_()
    inputs, labels = whole_batch(objective, sample)
    losses = torch.nn.functional.cross_entropy(
        functional_logits(objective, theta, inputs), labels, reduction="none"
    )
    (expected,) = torch.autograd.grad(losses.sum(), theta)
    loss, gradient = objective.gradient(theta.detach(), sample)
    torch.testing.assert_close(gradient, expected, rtol=1e-11, atol=1e-11)
    assert loss.total == pytest.approx(float(losses.sum().detach()), rel=1e-12)
    lengths = objective.unit_frames(Split.TRAIN)[UNITS]
    expected_units = [float(x.sum()) for x in losses.detach().split(lengths.tolist())]
    assert loss.per_unit.tolist() == pytest.approx(expected_units)
    assert objective.loss(theta.detach(), sample).total == pytest.approx(loss.total, rel=1e-12)


@pytest.mark.parametrize("chunk_frames", [1, 17, 10_000])
def test_chunks_do_not_change_sums(make_objective, sample, chunk_frames):
    one, two = make_objective(40), make_objective(chunk_frames)
    theta = one.model.flat.clone()
    torch.testing.assert_close(one.gradient(theta, sample)[1], two.gradient(theta, sample)[1])
    v = torch.randn(len(theta), dtype=torch.float64)
    torch.testing.assert_close(
        one.curvature(theta, sample).product(v), two.curvature(theta, sample).product(v)
    )


def test_chunk_bounds_cover_every_utterance_once():
    lengths = np.array([5, 50, 3, 3, 3, 9])
    bounds = list(chunk_bounds(lengths, 10))
    assert bounds == [(0, 1), (1, 2), (2, 5), (5, 6)]
    assert list(chunk_bounds(np.array([], dtype=int), 10)) == []


def test_unit_gradients_add_up(make_objective, sample):
    objective = make_objective()
    theta = objective.model.flat.clone()
    total = sum(g.clone() for _, g in objective.unit_gradients(theta, sample))
    torch.testing.assert_close(total, objective.gradient(theta, sample)[1])


def test_fisher_block_of_softmax_regression_is_exact(make_objective, stores, fisher_factors):
    """With one class certain inputs aside, E over labels of gg' is the softmax Fisher itself."""
    objective = make_objective(hidden_sizes=[])
    everything = Sample(Split.TRAIN, np.arange(stores[Split.TRAIN].num_units))
    theta = objective.model.flat.clone()
    inputs, _ = whole_batch(objective, everything)
    p = functional_logits(objective, theta, inputs).softmax(1).detach()
    fisher = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]).mean(0)
    drawn = [fisher_factors(objective, theta, everything, seed)[0] for seed in range(200)]
    mean = torch.stack([f.outputs for f in drawn]).mean(0)
    torch.testing.assert_close(mean, fisher, atol=0.01, rtol=0.05)
    a = torch.cat([objective.model.normalise(inputs), torch.ones(len(inputs), 1).double()], 1)
    torch.testing.assert_close(drawn[0].inputs, a.T @ a / len(a))
    assert drawn[0].start == 0


def test_kfac_inverts_the_fisher_of_one_layer(make_objective, stores):
    """Posteriors the same in every frame: then the Fisher matrix is one Kronecker product."""
    objective = make_objective(hidden_sizes=[])
    everything = Sample(Split.TRAIN, np.arange(stores[Split.TRAIN].num_units))
    layer = objective.model.linear_layers()[0]
    theta = torch.zeros_like(objective.model.flat)
    theta[layer.weight.numel() :] = torch.tensor([0.5, -0.3, 0.0, 0.2], dtype=torch.float64)
    preconditioner = KFACPreconditioner(decay=0.999)
    for seed in range(300):
        statistics = SampleStatistics(objective, theta, everything, theta, seed)
        preconditioner.prepare(1e-10, statistics)
    fisher = dense_gauss_newton(objective, theta, everything)
    fisher /= objective.stores[Split.TRAIN].num_frames
    # Adding one number to all outputs changes no posterior: the Fisher is singular there.
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weight, bias = v[: layer.weight.numel()].view_as(layer.weight), v[layer.weight.numel() :]
    weight -= weight.mean(0)
    bias -= bias.mean()
    found = preconditioner.apply(fisher @ v)
    weight, bias = (
        found[: layer.weight.numel()].view_as(layer.weight),
        found[layer.weight.numel() :],
    )
    weight -= weight.mean(0)
    bias -= bias.mean()
    # Labels are drawn: 300 draws of the store's frames leave about a hundredth.
    assert (found - v).norm() < 0.03 * v.norm()


def labels_by_inversion(p, uniforms):
    classes = [
        int(np.flatnonzero(row.cumsum(0) > u)[0]) for row, u in zip(p, uniforms, strict=True)
    ]
    return torch.tensor(classes)


def test_kronecker_factors_of_hidden_layers_equal_their_definition(
    make_objective, sample, fisher_factors
):
    objective = make_objective(10_000)
    theta = objective.model.flat.clone()
    inputs, _ = whole_batch(objective, sample)
    found = fisher_factors(objective, theta, sample, 5)
    activations, outputs, value = [], [], objective.model.normalise(inputs)
    for number, layer in enumerate(objective.model.linear_layers()):
        activations.append(value)
        value = layer(value)
        outputs.append(value)
        if number < 2:
            value = torch.sigmoid(value)
    p = value.detach().softmax(1)
    offsets = objective.stores[Split.TRAIN].offsets
    numbers = np.concatenate([np.arange(offsets[u], offsets[u + 1]) for u in sample.units])
    labels = labels_by_inversion(p, frame_uniforms(5, numbers)[:, 0])
    loss = torch.nn.functional.cross_entropy(value, labels, reduction="sum")
    gradients = torch.autograd.grad(loss, outputs)
    start = 0
    for factor, a, g in zip(found, activations, gradients, strict=True):
        a = torch.cat([a.detach(), torch.ones(len(a), 1).double()], 1)
        torch.testing.assert_close(factor.inputs, a.T @ a / len(a))
        torch.testing.assert_close(factor.outputs, g.T @ g / len(g))
        assert factor.start == start
        start += a.shape[1] * g.shape[1]


def test_minibatches_hold_every_frame_once_in_a_seeded_order(make_objective, stores):
    objective = make_objective()
    everything = Sample(Split.TRAIN, np.arange(stores[Split.TRAIN].num_units))
    inputs, labels = whole_batch(objective, everything)
    batches = list(objective.minibatches(seed=1, epoch=0, batch_frames=32))
    got = torch.cat([torch.cat([x, y[:, None].double()], 1) for x, y, _ in batches])
    expected = torch.cat([inputs, labels[:, None].double()], 1)
    torch.testing.assert_close(got.sort(0).values, expected.sort(0).values)
    again = torch.cat([y for _, y, _ in objective.minibatches(1, 0, 32)])
    other = torch.cat([y for _, y, _ in objective.minibatches(1, 1, 32)])
    assert torch.equal(again, torch.cat([y for _, y, _ in batches]))
    assert not torch.equal(again, other)


def test_work_counts_frames_by_kind(make_objective, sample):
    objective = make_objective()
    theta = objective.model.flat.clone()
    frames = int(objective.unit_frames(Split.TRAIN)[UNITS].sum())
    objective.gradient(theta, sample)
    curvature = objective.curvature(theta, sample)
    curvature.product(theta)
    curvature.product(theta)
    objective.loss(theta, sample)
    with objective.uncounted():
        objective.loss(theta, sample)
    assert objective.frames_by_pass == {"gradient": frames, "curvature": 2 * frames, "loss": frames}
    assert objective.work == 3 * frames + 8 * frames + frames


@pytest.mark.parametrize("path", [CurvaturePath.R_OPERATOR, CurvaturePath.DOUBLE_BACKWARD])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_bfloat16_products_are_near_those_of_full_precision(
    make_objective, sample, path, activation
):
    made = make_objective(activation=activation)
    model = made.model.float()
    full = FrameObjective(model, CrossEntropy(), made.stores, 40, path)
    half = FrameObjective(model, CrossEntropy(), made.stores, 40, path, Precision.BF16)
    theta = model.flat.clone()
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(0))
    expected = full.curvature(theta, sample).product(v)
    curvature = half.curvature(theta, sample)
    found = curvature.product(v)
    assert found.dtype == torch.float32 and curvature.precision is Precision.BF16
    error = (found - expected).norm() / expected.norm()
    assert 1e-5 < error < 0.03
    torch.testing.assert_close(curvature.exact_product(v), expected)


def test_models_of_ours_have_nothing_that_kfac_does_not_know(make_objective):
    assert problem_size(make_objective()).others == ()


def test_a_class_derived_from_the_dnn_is_not_taken_for_one(make_objective):
    """Its curvature is that of what it computes."""
    objective = make_objective()
    model = objective.model

    class Doubled(type(model)):
        def forward(self, spliced):
            return 2 * super().forward(spliced)

    settings = {"hidden_sizes": [6, 5], "left": 1, "right": 2, "seed": 3}
    derived = Doubled(feature_dim=3, num_pdfs=4, **settings).double()
    other = FrameObjective(derived, CrossEntropy(), objective.stores, 40)
    sample = whole_part(other)
    theta = derived.flat.clone()
    vector = torch.randn_like(theta)
    product = other.curvature(theta, sample).product(vector)
    step = 1e-5
    # G v = J' H J v, with J v by differences and J' by back-propagation.
    expected = gauss_newton(derived, other, sample, theta, vector, step)
    torch.testing.assert_close(product, expected, rtol=1e-4, atol=1e-6)


def whole_part(objective):
    return Sample(Split.TRAIN, np.arange(3))


def gauss_newton(model, objective, sample, theta, vector, step):
    batch = objective.stores[Split.TRAIN].gather(sample.units, torch.device("cpu"))

    def logits(at):
        model.flat.copy_(at)
        return model(model.inputs(batch))

    with torch.no_grad():
        forward = (logits(theta + step * vector) - logits(theta - step * vector)) / (2 * step)
    found = logits(theta)
    at_outputs = CrossEntropy().curvature(found.detach())(forward)
    model.flat_grad.zero_()
    found.backward(at_outputs)
    return model.flat_grad.clone()
