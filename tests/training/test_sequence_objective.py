"""Sequence criteria through the network: gradients, products and HF steps on whole utterances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from asr_hf.criteria.mbr import MinimumBayesRisk
from asr_hf.criteria.mmi import MaximumMutualInformation
from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.hf.acceptance import Backtracking
from asr_hf.hf.damping import LevenbergMarquardt
from asr_hf.hf.hessian_free import HessianFree, Stopping
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.preconditioners.identity import IdentityPreconditioner
from asr_hf.hf.preconditioners.kfac import KFACPreconditioner
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.solvers.cg import ConjugateGradient
from asr_hf.models.dnn import DNN
from asr_hf.runtime.errors import InputError
from asr_hf.training.feeding.targets import LatticeTargets, phones_of_pdfs
from asr_hf.training.frame_objective import FrameObjective

PDFS, DIM = 4, 3
CRITERIA = {
    "mmi": MaximumMutualInformation(0.5),
    "smbr": MinimumBayesRisk(0.5),
    "smoothed": MinimumBayesRisk(0.5, smoothing=0.1, curvature="frame"),
}


class Lattices:
    """A sausage of all pdfs, with drawn graph scores, for every utterance of a store."""

    folder = Path("lattices")
    pdf_of = np.array([0, 0, 1, 2, 3], np.int32)
    phone_of = np.array([0, 1, 2, 2, 3], np.int32)
    silence_phones = (1,)
    has_phones = False
    phases = 1

    def __init__(self, store):
        rng = np.random.default_rng(0)
        self._made = {
            name: self._make(name, int(frames), rng)
            for name, frames in zip(store.utterances, np.diff(store.offsets), strict=True)
        }

    def _make(self, name, frames, rng):
        rows, frame_of = [], [0]
        for frame in range(frames):
            first = 2 * frame - 1
            for target in (2 * frame + 1, 2 * frame + 2):
                for source in (0,) if frame == 0 else (first, first + 1):
                    for label in rng.choice(np.arange(1, 5), 2, replace=False):
                        rows.append((source, target, label, 0, rng.normal(), 0.0))
            frame_of += [frame + 1, frame + 1]
        rows.sort(key=lambda row: row[0])
        ends = [(2 * frames - 1, 0.0), (2 * frames, -0.5)]
        states = np.array(frame_of, np.int32)
        lattice = Lattice(name, np.array(rows, ARC), states, np.array(ends, FINAL))
        lattice.check(4)
        return lattice

    def pieces(self, name):
        return [self.lattice(name)]

    def lattice(self, name):
        return self._made[name]


@pytest.fixture
def make_sequence_objective(stores):
    lattices = {split: Lattices(store) for split, store in stores.items()}

    def make(criterion, chunk_frames=40, skip=(3,), **changes):
        settings = {"hidden_sizes": [6, 5], "activation": "sigmoid", "left": 1, "right": 1}
        model = DNN(feature_dim=DIM, num_pdfs=PDFS, seed=3, **settings).double()
        model.set_log_priors(torch.tensor([4.0, 3.0, 2.0, 1.0]))
        used = {
            Split.TRAIN: np.setdiff1d(np.arange(stores[Split.TRAIN].num_units), skip),
            Split.HELDOUT: np.arange(stores[Split.HELDOUT].num_units),
        }
        targets = LatticeTargets(stores, lattices, used, model)
        return FrameObjective(model, criterion, stores, chunk_frames, targets=targets, **changes)

    return make


SAMPLE = Sample(Split.TRAIN, np.array([0, 2, 3, 7, 11]))


@pytest.mark.parametrize("name", CRITERIA)
def test_gradients_equal_finite_differences(make_sequence_objective, name):
    objective = make_sequence_objective(CRITERIA[name])
    theta = objective.model.flat.detach().clone()
    loss, gradient = objective.gradient(theta, SAMPLE)
    assert loss.total == pytest.approx(objective.loss(theta, SAMPLE).total, rel=1e-12)
    assert float(loss.per_unit.sum()) == pytest.approx(loss.total, rel=1e-12)
    step = 1e-5
    for seed in range(4):
        v = torch.randn(len(theta), dtype=torch.float64, generator=torch.manual_seed(seed))
        up, down = (objective.loss(theta + s * step * v, SAMPLE).total for s in (1, -1))
        assert (up - down) / (2 * step) == pytest.approx(float(gradient @ v), rel=1e-6)


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("path", ["r_operator", "double_backward"])
def test_products_equal_dense_ones(make_sequence_objective, name, path):
    from asr_hf.curvature.chunks import CurvaturePath

    criterion = CRITERIA[name]
    objective = make_sequence_objective(criterion, curvature_path=CurvaturePath(path))
    model = objective.model
    theta = model.flat.detach().clone()
    dense = torch.zeros(len(theta), len(theta), dtype=torch.float64)
    for unit in objective.units[Split.TRAIN].one_by_one(SAMPLE.units):
        logits = model(model.inputs(unit.batch))
        rows = [
            torch.cat(
                [
                    g.reshape(-1)
                    for g in torch.autograd.grad(z, list(model.parameters()), retain_graph=True)
                ]
            )
            for z in logits.reshape(-1)
        ]
        jacobian = torch.stack(rows)
        at_outputs = criterion.curvature(logits.detach(), objective.targets.of(Split.TRAIN, unit))
        identity = torch.eye(logits.numel(), dtype=torch.float64).view(-1, *logits.shape)
        inner = torch.stack([at_outputs(u).reshape(-1) for u in identity])
        dense += jacobian.T @ inner @ jacobian
    curvature = objective.curvature(theta, SAMPLE)
    for seed in range(3):
        v = torch.randn(len(theta), dtype=torch.float64, generator=torch.manual_seed(seed))
        torch.testing.assert_close(curvature.product(v), dense @ v, rtol=1e-10, atol=1e-10)


def test_chunks_change_no_sum(make_sequence_objective):
    small, large = (make_sequence_objective(CRITERIA["smbr"], chunk) for chunk in (1, 10**6))
    theta = small.model.flat.detach().clone()
    (one, g), (other, h) = small.gradient(theta, SAMPLE), large.gradient(theta, SAMPLE)
    assert one.total == pytest.approx(other.total, rel=1e-12)
    torch.testing.assert_close(g, h)
    torch.testing.assert_close(one.per_unit, other.per_unit)


def test_units_keep_their_places_whatever_the_order_of_chunks(make_sequence_objective):
    objective = make_sequence_objective(CRITERIA["smbr"], chunk_frames=20)
    theta = objective.model.flat.detach().clone()
    whole = objective.loss(theta, SAMPLE).per_unit
    lengths = objective.unit_frames(Split.TRAIN)[SAMPLE.units]
    assert (np.diff(lengths) < 0).any()
    for place, unit in enumerate(SAMPLE.units):
        alone = objective.loss(theta, Sample(Split.TRAIN, np.array([unit])))
        assert float(whole[place]) == pytest.approx(alone.total, rel=1e-12)


def test_utterances_without_a_lattice_are_in_no_sample(make_sequence_objective, stores):
    objective = make_sequence_objective(CRITERIA["smbr"], skip=(0, 5))
    lengths = np.diff(stores[Split.TRAIN].offsets)
    frames = objective.unit_frames(Split.TRAIN)
    assert frames.tolist() == np.delete(lengths, [0, 5]).tolist()
    everything = Sample(Split.TRAIN, np.arange(len(frames)))
    loss = objective.loss(objective.model.flat.detach().clone(), everything)
    assert loss.num_frames == frames.sum()
    minibatches = list(objective.minibatches(0, 0, 1))
    assert len(minibatches) == objective.num_minibatches(1) == len(frames)
    assert sum(frames for *_, frames in minibatches) == loss.num_frames


def test_a_minibatch_gradient_is_that_of_its_utterances(make_sequence_objective):
    objective = make_sequence_objective(CRITERIA["smbr"])
    theta = objective.model.flat.detach().clone()
    total = torch.zeros_like(theta)
    for minibatch in objective.minibatches(0, 0, 1):
        mean, gradient = objective.minibatch_gradient(theta, minibatch)
        assert mean.isfinite()
        total += gradient * minibatch[2]
    frames = objective.unit_frames(Split.TRAIN)
    _, expected = objective.gradient(theta, Sample(Split.TRAIN, np.arange(len(frames))))
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("preconditioner", [IdentityPreconditioner, KFACPreconditioner])
@pytest.mark.parametrize("name", CRITERIA)
def test_hessian_free_lowers_every_criterion(make_sequence_objective, name, preconditioner):
    objective = make_sequence_objective(CRITERIA[name])
    optimiser = HessianFree(
        objective=objective,
        theta=objective.model.flat.detach().clone(),
        solver=ConjugateGradient(max_iterations=10),
        preconditioner=preconditioner(),
        sampling=FixedSampling(1.0, 0.5),
        damping=LevenbergMarquardt(0.01),
        acceptance=Backtracking(),
        stopping=Stopping(max_iterations=6),
    )
    everything = Sample(Split.TRAIN, np.arange(len(objective.unit_frames(Split.TRAIN))))
    before = objective.loss(optimiser.theta, everything).mean
    while not optimiser.finished:
        optimiser.step()
    assert objective.loss(optimiser.theta, everything).mean < before
    assert optimiser.losses[-1] < optimiser.losses[0]


def test_units_of_single_frames_are_refused(make_sequence_objective):
    with pytest.raises(InputError, match="whole utterances"):
        make_sequence_objective(CRITERIA["smbr"], frame_stride=4)


class Tied(Lattices):
    """The same where phones 1 and 3 share pdf 0, and transcripts say which it was."""

    pdf_of = np.array([0, 0, 1, 2, 0], np.int32)
    has_phones = True

    def __init__(self, store):
        super().__init__(store)
        random = np.random.default_rng(1)
        self.said = {
            name: random.choice(np.array([1, 2, 3], np.int32), int(frames))
            for name, frames in zip(store.utterances, np.diff(store.offsets), strict=True)
        }

    def phones(self, name):
        return self.said[name]


@pytest.mark.parametrize("level", ["pdf", "phone"])
def test_phones_that_share_pdfs_are_told_by_the_transcript(stores, level):
    """Expected correct frames against all paths of each lattice, the reference given by frame."""
    lattices = {split: Tied(store) for split, store in stores.items()}
    model = DNN(feature_dim=DIM, num_pdfs=PDFS, seed=3, hidden_sizes=[4], left=1, right=1).double()
    model.set_log_priors(torch.tensor([4.0, 3.0, 2.0, 1.0]))
    used = {split: np.arange(store.num_units) for split, store in stores.items()}
    targets = LatticeTargets(stores, lattices, used, model)
    scale = 0.5
    objective = FrameObjective(
        model, MinimumBayesRisk(scale, level=level), stores, 40, targets=targets
    )
    theta = objective.model.flat.detach().clone()
    store, held = stores[Split.TRAIN], lattices[Split.TRAIN]
    unit = int(np.argmin(np.diff(store.offsets)))
    name = store.utterances[unit]
    batch = store.gather(np.array([unit]), torch.device("cpu"))
    logits = model(model.inputs(batch)).detach()
    scores = (torch.log_softmax(logits, 1) - model.log_priors).numpy()
    total = expected_correct(
        held.lattice(name), held, scores, batch.labels.numpy(), held.phones(name), level, scale
    )
    loss = objective.loss(theta, Sample(Split.TRAIN, np.array([unit])))
    frames = int(np.diff(store.offsets)[unit])
    assert loss.total == pytest.approx(frames - total, rel=1e-9)


def expected_correct(lattice, labels, scores, pdfs, phones, level, scale) -> float:
    """By walking every path."""
    arcs_from: dict[int, list] = {}
    for arc in lattice.arcs:
        arcs_from.setdefault(int(arc["source"]), []).append(arc)
    finals = {int(end["state"]): float(end["graph"]) for end in lattice.finals}
    found = []

    def walk(state: int, weight: float, right: float) -> None:
        if state in finals:
            found.append((weight + finals[state], right))
        for arc in arcs_from.get(state, []):
            label, frame = int(arc["label"]), int(lattice.frame_of[state])
            pdf, phone = int(labels.pdf_of[label]), int(labels.phone_of[label])
            score = float(arc["graph"]) + scale * scores[frame, pdf]
            silent = {phone, int(phones[frame])} <= set(labels.silence_phones)
            same = pdf == pdfs[frame] if level == "pdf" else phone == phones[frame]
            walk(int(arc["target"]), weight + score, right + (same or silent))

    walk(0, 0.0, 0.0)
    weights = np.array([w for w, _ in found])
    weights = np.exp(weights - weights.max())
    return float(weights @ np.array([r for _, r in found]) / weights.sum())


def test_a_pdf_of_two_phones_is_refused():
    lattices = type(
        "L", (), {"folder": "x", "pdf_of": np.array([0, 0, 0]), "phone_of": np.array([0, 1, 2])}
    )
    with pytest.raises(InputError, match="several phones"):
        phones_of_pdfs(lattices)
