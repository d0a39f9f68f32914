"""Augmentation as the optimisers see it: one function an iteration, held-out data as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from asr_hf.baselines.objective import whole
from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.curvature.chunks import CurvaturePath
from asr_hf.data.frame_draws import FrameDraws, key_of
from asr_hf.data.spec_augment import SpecAugment
from asr_hf.hf.objective import Sample, Split
from asr_hf.models.dnn import DNN
from asr_hf.models.tdnn import TDNN
from asr_hf.models.tdnnf import TDNNF
from asr_hf.runtime.errors import InputError
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.try_augmentation import try_augmentation

from .exactness import assert_iterations_are_functions_of_their_own
from .killed import assert_resumed_to_the_same_bits, run
from .optimisers import hessian_free, stochastic

FACTORISED = {"hidden_size": 6, "bottleneck_size": 3, "prefinal_size": 2, "strides": [1, 0]}
CPU = torch.device("cpu")
UNITS = np.array([2, 3, 7, 11, 12, 13, 29])
SAMPLE = Sample(Split.TRAIN, UNITS)
ITERATION, SEED = 4, 0
AUGMENTATION = SpecAugment(bands=1, band_width=2, span_every=5, span_width=2)


@pytest.fixture
def make(make_objective, stores):
    """An objective with an augmentation in its fifth iteration."""

    def made(chunk_frames=40, which="dnn", stride=1, dtype=torch.float64, **changes):
        changes = {"augmentation": AUGMENTATION, **changes}
        store = stores[Split.TRAIN]
        sizes = {"feature_dim": store.dim, "num_pdfs": store.num_pdfs, "seed": 3}
        if which == "dnn":
            model = make_objective(dtype=dtype).model
        elif which == "tdnn":
            context = [[-1, 0, 1], [-3, 2]]
            model = TDNN(**sizes, hidden_sizes=[5, 4], context=context).to(dtype)
        else:
            model = TDNNF(**sizes, **FACTORISED).to(dtype)
        # A mean that is none of the features' own.
        model.input_mean.copy_(torch.arange(len(model.input_mean)) % store.dim + 0.5)
        objective = FrameObjective(
            model, CrossEntropy(), stores, chunk_frames, frame_stride=stride, **changes
        )
        objective.begin_iteration(ITERATION)
        return objective

    return made


def altered(objective):
    """The utterances of the sample, their features replaced by hand."""
    store = objective.stores[Split.TRAIN]
    batch = store.gather(UNITS, CPU)
    numbers = torch.cat([torch.arange(store.offsets[u], store.offsets[u + 1]) for u in UNITS])
    draws = FrameDraws(key_of(SEED, 0, ITERATION), numbers)
    frames = torch.arange(len(numbers))
    hidden = AUGMENTATION.hidden(draws, batch.starts, frames, store.dim)
    assert hidden.any() and not hidden.all()
    mean = objective.model.input_mean[: store.dim].to(batch.features)
    return replace(batch, features=torch.where(hidden, mean, batch.features))


@pytest.mark.parametrize("which", ["dnn", "tdnn", "tdnnf"])
def test_loss_gradient_and_products_are_those_of_the_altered_features(make, which):
    objective = make(which=which)
    model, batch = objective.model, altered(objective)
    theta = model.flat.clone()
    logits = model(model.inputs(batch))
    p = logits.detach().softmax(1)
    expected = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="sum")
    at = torch.autograd.grad(expected, list(model.parameters()), retain_graph=True)
    loss, gradient = objective.gradient(theta, SAMPLE)
    assert loss.total == pytest.approx(float(expected.detach()), rel=1e-12)
    torch.testing.assert_close(
        gradient, torch.cat([x.reshape(-1) for x in at]), rtol=1e-11, atol=1e-11
    )
    assert objective.loss(theta, SAMPLE).total == pytest.approx(loss.total, rel=1e-12)
    units = sum(g.clone() for _, g in objective.unit_gradients(theta, SAMPLE))
    torch.testing.assert_close(units, gradient, rtol=1e-11, atol=1e-11)
    # v'Gv is the variance of the logits' derivative along v under the posteriors.
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(0)).double()
    dual = torch.zeros_like(logits, requires_grad=True)
    back = torch.autograd.grad(logits, list(model.parameters()), dual, create_graph=True)
    pieces = [x.view(y.shape) for x, y in zip(v.split([b.numel() for b in back]), back)]  # noqa: B905
    along = torch.autograd.grad(back, dual, pieces)[0]
    variance = (p * along.square()).sum(1) - (p * along).sum(1).square()
    product = objective.curvature(theta, SAMPLE).product(v)
    assert float(v @ product) == pytest.approx(float(variance.sum()), rel=1e-9)


@pytest.mark.parametrize("which", ["dnn", "tdnn"])
def test_frames_are_hidden_alike_in_units_of_any_stride_chunk_and_share(make, which):
    one, two = make(which=which), make(chunk_frames=7, which=which, stride=3)
    theta = one.model.flat.clone()
    pieces = (3 * UNITS[:, None] + np.arange(3)).reshape(-1)
    halves = [Sample(Split.TRAIN, u) for u in (pieces[::2], pieces[1::2])]
    found = sum(two.gradient(theta, half)[1] for half in halves)
    torch.testing.assert_close(one.gradient(theta, SAMPLE)[1], found, rtol=1e-10, atol=1e-11)


def test_an_iteration_is_one_function_and_the_next_another(make):
    assert_iterations_are_functions_of_their_own(make(), SAMPLE)


def test_held_out_data_are_seen_whole(make):
    hidden, plain = make(), make(augmentation=None)
    theta, heldout = plain.model.flat.clone(), whole(plain, Split.HELDOUT)
    assert hidden.loss(theta, heldout).total == plain.loss(theta, heldout).total
    assert hidden.loss(theta, SAMPLE).total != plain.loss(theta, SAMPLE).total


def test_minibatches_hide_anew_and_repeat_it(make):
    objective, plain = make(), make(augmentation=None)
    theta = objective.model.flat.clone()

    def losses(of, epoch):
        return [float(of.minibatch_gradient(theta, x)[0]) for x in of.minibatches(1, epoch, 32)]

    first = losses(objective, 0)
    assert losses(objective, 0) == first != losses(plain, 0)


@pytest.mark.parametrize("make_optimiser", [hessian_free, stochastic])
def test_killed_run_continues_to_the_same_bits(make, tmp_path, make_optimiser):
    def trained(path, kill_at=None):
        objective = make(dtype=torch.float32)
        return run(make_optimiser(objective), objective, path, kill_at)

    assert_resumed_to_the_same_bits(trained, tmp_path)


@pytest.mark.parametrize("path", [CurvaturePath.R_OPERATOR, CurvaturePath.DOUBLE_BACKWARD])
def test_both_curvature_paths_agree(make, path):
    one, two = make(), make(curvature_path=path)
    theta = one.model.flat.clone()
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(0)).double()
    products = [x.curvature(theta, SAMPLE).product(v) for x in (one, two)]
    torch.testing.assert_close(*products, rtol=1e-10, atol=1e-11)


class Wrong:
    def hidden(self, draws, starts, frames, dim):
        return torch.zeros(len(frames), dim + 1, dtype=torch.bool)


class Failing:
    def hidden(self, draws, starts, frames, dim):
        raise KeyError("mask")


class Past(DNN):
    def inputs(self, batch, index=None):
        return super().inputs(replace(batch, hiding=None), index)


@pytest.mark.parametrize(("kind", "found"), [(Wrong, r"torch.bool \["), (Failing, "KeyError")])
def test_a_fault_of_an_own_augmentation_is_named(make, kind, found):
    objective = make()
    with pytest.raises(InputError, match=rf"augment._target_: .*{kind.__name__}.*{found}"):
        try_augmentation(kind(), objective.model, objective.stores[Split.TRAIN])


def test_a_model_that_reads_features_past_it_is_refused(make, stores):
    store = stores[Split.TRAIN]
    sizes = {"feature_dim": store.dim, "num_pdfs": store.num_pdfs, "hidden_sizes": [4]}
    try_augmentation(AUGMENTATION, DNN(**sizes), store)
    try_augmentation(None, Past(**sizes), store)
    with pytest.raises(InputError, match=r"Past reads features past it"):
        try_augmentation(AUGMENTATION, Past(**sizes), store)
