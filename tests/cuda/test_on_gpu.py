"""What a GPU computes is what a CPU computes in float64, from recordings and from streams too."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.curvature.chunks import ChunkMaker, CurvaturePath
from asr_hf.curvature.cuda_graph import record_on_gpu
from asr_hf.curvature.gauss_newton import SampleCurvature
from asr_hf.curvature.precision import Precision
from asr_hf.data.store import FrameStore
from asr_hf.hf.acceptance import Backtracking
from asr_hf.hf.damping import LevenbergMarquardt
from asr_hf.hf.hessian_free import HessianFree, Stopping
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.models.dnn import DNN
from asr_hf.training.feeding.frame_source import make_sources
from asr_hf.training.frame_objective import FrameObjective

from ..toy_store import write_clusters

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

GPU, CPU = torch.device("cuda"), torch.device("cpu")
DIM, PDFS, FRAMES = 8, 30, 256
# Of the product's norm.
ROUNDING = {Precision.FP32: 1e-5, Precision.TF32: 1e-2, Precision.BF16: 1e-1}
SHAPE = {"feature_dim": DIM, "num_pdfs": PDFS, "left": 2, "right": 2, "seed": 1}
PATHS = [CurvaturePath.R_OPERATOR, CurvaturePath.DOUBLE_BACKWARD]


def network(normalisation: str = "rms") -> DNN:
    return DNN(hidden_sizes=[64, 48], activation="relu", normalisation=normalisation, **SHAPE)


def curvature(model, inputs, precision, path, record=None) -> SampleCurvature:
    make = ChunkMaker(model, path)
    return SampleCurvature(
        lambda _, chosen: make(inputs, CrossEntropy().curvature, chosen),
        1,
        FRAMES,
        lambda _: None,
        precision,
        record=record,
    )


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def off(found: torch.Tensor, true: torch.Tensor) -> float:
    return float((found.cpu().double() - true).norm() / true.norm())


@pytest.mark.parametrize("normalisation", ["none", "rms", "layer"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("precision", list(Precision))
def test_products(precision, path, normalisation):
    inputs = drawn(FRAMES, 5 * DIM)
    exact = curvature(
        network(normalisation).double(), inputs, Precision.FP32, CurvaturePath.DOUBLE_BACKWARD
    )
    model = network(normalisation).to(GPU)
    found = curvature(model, inputs.float().to(GPU), precision, path)
    for seed in range(3):
        v = drawn(model.flat.numel(), seed=seed)
        product = found.product(v.float().to(GPU))
        assert off(product, exact.product(v)) < ROUNDING[precision]


@pytest.mark.parametrize("precision", list(Precision))
def test_a_replay_gives_each_vector_its_product(precision):
    inputs, model = drawn(FRAMES, 5 * DIM).float().to(GPU), network().to(GPU)
    path = CurvaturePath.R_OPERATOR
    launched = curvature(model, inputs, precision, path)
    replayed = curvature(model, inputs, precision, path, record_on_gpu)
    vectors = [drawn(model.flat.numel(), seed=seed).float().to(GPU) for seed in range(4)]
    # Results of earlier replays stay as they were.
    products = [replayed.product(v) for v in vectors]
    for v, product in zip(vectors, products, strict=True):
        assert off(product, launched.product(v).cpu().double()) < 1e-5


@pytest.fixture
def stores(tmp_path: Path) -> dict[Split, FrameStore]:
    random = np.random.default_rng(0)
    for split in Split:
        write_clusters(tmp_path / split.name, random, random.integers(5, 60, 40), PDFS, DIM)
    return {split: FrameStore.open(tmp_path / split.name) for split in Split}


def objective(stores, device, room=0, record=None) -> FrameObjective:
    return FrameObjective(
        network().to(device),
        CrossEntropy(),
        stores,
        chunk_frames=FRAMES,
        sources=make_sources(stores, device, room),
        record=record,
    )


def everything(stores) -> Sample:
    return Sample(Split.TRAIN, np.arange(stores[Split.TRAIN].num_units))


@pytest.mark.parametrize("room", [0, 1 << 30])
def test_losses_and_gradients_of_streamed_and_of_resident_features(stores, room):
    ours, reference = objective(stores, GPU, room), objective(stores, CPU)
    sample = everything(stores)
    loss, gradient = ours.gradient(ours.model.flat.detach().clone(), sample)
    true_loss, true = reference.gradient(reference.model.flat.detach().clone(), sample)
    assert loss.mean == pytest.approx(true_loss.mean, rel=1e-5)
    assert loss.num_frames == true_loss.num_frames
    assert off(gradient, true.double()) < 1e-4


def hessian_free(made: FrameObjective) -> HessianFree:
    return HessianFree(
        objective=made,
        theta=network().to(GPU).flat.detach().clone(),
        solver=FlexibleConjugateGradient(max_iterations=6),
        preconditioner=LBFGSPreconditioner(),
        sampling=FixedSampling(1.0, 0.5),
        damping=LevenbergMarquardt(),
        acceptance=Backtracking(),
        stopping=Stopping(),
    )


@pytest.mark.parametrize("record", [None, record_on_gpu])
def test_hf_learns_and_goes_on_to_the_same_bits(stores, record):
    whole = hessian_free(objective(stores, GPU, 1 << 30, record))
    losses = [whole.step()["train_loss"] for _ in range(2)]
    state = deepcopy(whole.state_dict())
    losses += [whole.step()["train_loss"] for _ in range(3)]
    assert losses[-1] < 0.8 * losses[0]
    second = hessian_free(objective(stores, GPU, 1 << 30, record))
    second.load_state_dict(state)
    for _ in range(3):
        second.step()
    assert torch.equal(second.theta, whole.theta)
