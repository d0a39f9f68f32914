"""The TDNN as the optimisers see it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from asr_hf.baselines.objective import whole
from asr_hf.cli.compose import load_config
from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.curvature.chunks import CurvaturePath
from asr_hf.curvature.precision import Precision
from asr_hf.data.counter_rng import frame_uniforms
from asr_hf.hf.objective import Sample, Split
from asr_hf.models.tdnn import TDNN
from asr_hf.runtime.errors import InputError
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.model_file import build_model, load_model, save_model
from asr_hf.training.posteriors import batches_of, log_likelihoods
from asr_hf.training.pretraining import pretrain_layers

from .exactness import assert_gradient_is_exact

CPU = torch.device("cpu")
UNITS = np.array([2, 3, 7, 11, 12, 13, 29])
SAMPLE = Sample(Split.TRAIN, UNITS)
CONFIG = {
    "_target_": "asr_hf.models.tdnn.TDNN",
    "context": [[-1, 0, 1], [-3, 2]],
    "hidden_sizes": [5, 4],
}


@pytest.fixture
def make_tdnn_objective(stores):
    def make(chunk_frames=40, dtype=torch.float64, precision=Precision.FP32, **changes):
        store = stores[Split.TRAIN]
        model = build_model(CONFIG | changes, store.dim, store.num_pdfs, seed=3)
        return FrameObjective(
            model.to(dtype), CrossEntropy(), stores, chunk_frames, precision=precision
        )

    return make


def whole_batch(objective):
    return objective.stores[Split.TRAIN].gather(UNITS, CPU)


def functional_logits(objective, theta):
    pieces = {
        name: split.view(parameter.shape)
        for (name, parameter), split in zip(
            objective.model.named_parameters(),
            theta.split([p.numel() for p in objective.model.parameters()]),
            strict=True,
        )
    }
    inputs = objective.model.inputs(whole_batch(objective))
    return torch.func.functional_call(objective.model, pieces, (inputs,))


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_curvature_equals_dense_jacobian_product(make_tdnn_objective, activation):
    objective = make_tdnn_objective(activation=activation)
    theta = objective.model.flat.clone()
    jacobian = torch.autograd.functional.jacobian(lambda t: functional_logits(objective, t), theta)
    p = functional_logits(objective, theta).softmax(1)
    hessian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    dense = torch.einsum("tcn,tcd,tdm->nm", jacobian, hessian, jacobian)
    curvature = objective.curvature(theta, SAMPLE)
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        v = torch.randn(len(theta), generator=generator, dtype=torch.float64)
        torch.testing.assert_close(curvature.product(v), dense @ v, rtol=1e-12, atol=1e-12)


def test_gradient_equals_finite_differences(make_tdnn_objective):
    assert_gradient_is_exact(make_tdnn_objective(), SAMPLE)


@pytest.mark.parametrize("chunk_frames", [1, 17, 10_000])
def test_chunks_do_not_change_sums(make_tdnn_objective, chunk_frames):
    one, two = make_tdnn_objective(40), make_tdnn_objective(chunk_frames)
    theta = one.model.flat.clone()
    torch.testing.assert_close(one.gradient(theta, SAMPLE)[1], two.gradient(theta, SAMPLE)[1])
    v = torch.randn(len(theta), dtype=torch.float64)
    torch.testing.assert_close(
        one.curvature(theta, SAMPLE).product(v), two.curvature(theta, SAMPLE).product(v)
    )
    total = sum(g.clone() for _, g in one.unit_gradients(theta, SAMPLE))
    torch.testing.assert_close(total, one.gradient(theta, SAMPLE)[1])


def layer_rows(model, utterance):
    """Inputs (a, 1) and outputs of every layer for one utterance, by unfolding."""
    value = torch.nn.functional.pad(
        ((utterance - model.input_mean) * model.input_scale).T[None],
        (model.left, model.right),
        mode="replicate",
    )[0].T
    *hidden, output = model.linear_layers()
    inputs, outputs = [], []
    for layer, times in zip([*hidden, output], [*model.context, [0]], strict=True):
        span = range(len(value) - (times[-1] - times[0]))
        rows = torch.stack([torch.cat([value[t + at - times[0]] for at in times]) for t in span])
        inputs.append(torch.cat([rows, torch.ones(len(rows), 1).double()], 1))
        outputs.append(layer(rows))
        value = torch.sigmoid(outputs[-1])
    return inputs, outputs


def test_kronecker_factors_equal_their_definition(make_tdnn_objective, fisher_factors):
    """One utterance a chunk, so that no row lies across a border."""
    objective = make_tdnn_objective(chunk_frames=1)
    model, theta = objective.model, objective.model.flat.clone()
    found = fisher_factors(objective, theta, SAMPLE, 5)
    offsets = objective.stores[Split.TRAIN].offsets
    inputs = [[] for _ in found]
    squares = [0.0 for _ in found]
    frames = 0
    for unit in UNITS:
        utterance = objective.stores[Split.TRAIN].gather(np.array([unit]), CPU).features.double()
        a, outputs = layer_rows(model, utterance)
        p = outputs[-1].detach().softmax(1)
        numbers = np.arange(offsets[unit], offsets[unit + 1])
        wanted = torch.from_numpy(frame_uniforms(5, numbers)[:, :1])
        labels = (p.cumsum(1) <= wanted).sum(1)
        loss = torch.nn.functional.cross_entropy(outputs[-1], labels, reduction="sum")
        for place, g in enumerate(torch.autograd.grad(loss, outputs)):
            inputs[place].append(a[place].detach())
            squares[place] = squares[place] + g.T @ g
        frames += len(utterance)
    start = 0
    for factor, a, square in zip(found, inputs, squares, strict=True):
        rows = torch.cat(a)
        torch.testing.assert_close(factor.inputs, rows.T @ rows / len(rows))
        torch.testing.assert_close(factor.outputs, square / frames)
        assert factor.start == start
        start += rows.shape[1] * len(square)
    assert len(torch.cat(inputs[0])) > frames


def test_minibatches_hold_every_frame_once(make_tdnn_objective, stores):
    objective = make_tdnn_objective()
    everything = stores[Split.TRAIN].gather(np.arange(stores[Split.TRAIN].num_units), CPU)
    model = objective.model
    with torch.no_grad():
        expected = torch.cat([model(model.inputs(everything)), everything.labels[:, None]], 1)
        found = torch.cat(
            [torch.cat([model(x), y[:, None]], 1) for x, y, _ in objective.minibatches(1, 0, 32)]
        )
    torch.testing.assert_close(found.sort(0).values, expected.sort(0).values)


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer=hf", "preconditioner=kfac"],
        ["trainer=hf", "preconditioner=lbfgs"],
        ["trainer=hf", "preconditioner=diagonal"],
        ["trainer=sgd", "trainer.batch_frames=32", "trainer.learning_rate=0.05"],
        ["trainer=adamw", "trainer.batch_frames=32", "trainer.learning_rate=0.01"],
        ["trainer=lbfgs"],
    ],
    ids=lambda o: " ".join(o[:2]),
)
def test_every_optimiser_trains_it(make_tdnn_objective, overrides):
    config = load_config(["+recipe=prompts", "model=tdnn", "sampling=fixed", *overrides])
    objective = make_tdnn_objective(dtype=torch.float32, hidden_sizes=[24, 24])
    theta = objective.model.flat.clone()
    training = whole(objective, Split.TRAIN)
    before = objective.loss(theta, training).mean
    optimiser = instantiate(config.trainer)(objective=objective, theta=theta)
    for _ in range(5):
        optimiser.step()
    assert objective.loss(optimiser.theta, training).mean < 0.95 * before


def test_the_r_operator_refuses_it(make_tdnn_objective):
    made = make_tdnn_objective()
    with pytest.raises(InputError, match="no plain DNN"):
        FrameObjective(made.model, CrossEntropy(), made.stores, 40, CurvaturePath.R_OPERATOR)


def test_pretraining_refuses_it(make_tdnn_objective):
    with pytest.raises(InputError, match="model=dnn"):
        pretrain_layers(make_tdnn_objective(), dict)


def test_bfloat16_products_are_near_those_of_full_precision(make_tdnn_objective):
    full, half = (
        make_tdnn_objective(dtype=torch.float32, precision=p)
        for p in (Precision.FP32, Precision.BF16)
    )
    theta = full.model.flat.clone()
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(0))
    expected = full.curvature(theta, SAMPLE).product(v)
    found = half.curvature(theta, SAMPLE).product(v)
    assert 1e-5 < (found - expected).norm() / expected.norm() < 0.03


def test_saved_and_loaded_it_gives_each_utterance_the_same_scores(
    make_tdnn_objective, stores, tmp_path
):
    objective = make_tdnn_objective(dtype=torch.float32)
    model = objective.model
    model.set_log_priors(torch.tensor([1, 2, 3, 4]))
    model.set_input_statistics(torch.tensor([1.0, 2.0, 3.0]), torch.ones(3) * 2)
    save_model(tmp_path / "m.safetensors", model, CONFIG, {})
    loaded, _ = load_model(tmp_path / "m.safetensors")
    assert isinstance(loaded, TDNN)
    store = stores[Split.HELDOUT]
    found = dict(log_likelihoods(loaded, batches_of(store, CPU), CPU))
    assert list(found) == store.utterances
    expected = model.log_likelihoods(model.inputs(store.gather(np.arange(store.num_units), CPU)))
    torch.testing.assert_close(torch.from_numpy(np.concatenate(list(found.values()))), expected)
