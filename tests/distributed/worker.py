"""Trains toy problems as one of several ranks: worker.py FOLDER RANK COUNT:CASES...

For each COUNT of ranks that this one belongs to, each of its CASES is trained for ten iterations;
rank 0 writes FOLDER/<case>-<count>.json.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from asr_hf.baselines.lbfgs import LBFGS
from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.criteria.mbr import MinimumBayesRisk
from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.data.store import FrameStore
from asr_hf.hf.acceptance import Backtracking, PairedTest
from asr_hf.hf.damping import LevenbergMarquardt
from asr_hf.hf.hessian_free import HessianFree, Stopping
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.preconditioners.diagonal import DiagonalPreconditioner
from asr_hf.hf.preconditioners.kfac import FisherFactors, KFACPreconditioner
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.sampling.geometric import GeometricSampling
from asr_hf.hf.sampling.variance import VarianceSampling
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.models.dnn import DNN
from asr_hf.models.tdnnf import TDNNF
from asr_hf.runtime.failures import FailureBoard, LostRank
from asr_hf.runtime.process_group import ProcessGroup
from asr_hf.training.constrained_objective import ConstrainedObjective
from asr_hf.training.distributed.data_parallel import DataParallel
from asr_hf.training.distributed.replica_consistency import check_in_step
from asr_hf.training.feeding.targets import LatticeTargets
from asr_hf.training.frame_objective import FrameObjective

ITERATIONS = 10


class CountingRanks(ProcessGroup):
    """Keeps the size of every message."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.sizes = []

    def all_reduce(self, tensor):
        self.sizes.append(tensor.numel())
        return super().all_reduce(tensor)

    def reduce_scatter(self, whole, out):
        self.sizes.append(whole.numel())
        return super().reduce_scatter(whole, out)

    def all_gather(self, split):
        self.sizes.append(split.numel() * self.count)
        return super().all_gather(split)


class Sausages:
    """A lattice of two states and random arcs a frame for every utterance of a store."""

    folder = Path("lattices")
    silence_phones = (1,)
    has_phones = False
    phases = 1

    def __init__(self, store):
        pdfs = store.num_pdfs
        self.pdf_of = np.append(0, np.arange(pdfs)).astype(np.int32)
        self.phone_of = np.append(0, np.arange(1, pdfs + 1)).astype(np.int32)
        self._labels, rng = np.arange(1, pdfs + 1), np.random.default_rng(0)
        lengths = np.diff(store.offsets).tolist()
        names = zip(store.utterances, lengths, strict=True)
        self._made = {name: self._make(name, frames, rng) for name, frames in names}

    def _make(self, name, frames, rng):
        rows = [
            (source, target, label, 0, rng.normal(), 0.0)
            for frame in range(frames)
            for source in ((0,) if frame == 0 else (2 * frame - 1, 2 * frame))
            for target in (2 * frame + 1, 2 * frame + 2)
            for label in rng.choice(self._labels, 2, replace=False)
        ]
        states = np.append(0, np.repeat(np.arange(1, frames + 1), 2)).astype(np.int32)
        ends = [(2 * frames - 1, 0.0), (2 * frames, -0.5)]
        return Lattice(name, np.array(rows, ARC), states, np.array(ends, FINAL))

    def pieces(self, name):
        return [self.lattice(name)]

    def lattice(self, name):
        return self._made[name]


def objective_of(case, stores):
    store = stores[Split.TRAIN]
    if case == "constrained":
        return constrained(store, stores)
    model = DNN(
        feature_dim=store.dim,
        num_pdfs=store.num_pdfs,
        hidden_sizes=[6, 5],
        normalisation="batch" if case == "batch" else "none",
        dropout=0.2 if case == "kfac" else 0.0,
        left=1,
        right=1,
        seed=3,
    ).double()
    if case != "smbr":
        # Pieces of utterances, more than one chunk for some ranks.
        stride = 3 if case == "kfac" else 1
        return FrameObjective(model, CrossEntropy(), stores, 40, frame_stride=stride)
    used = {split: np.arange(store.num_units) for split, store in stores.items()}
    lattices = {split: Sausages(store) for split, store in stores.items()}
    targets = LatticeTargets(stores, lattices, used, model)
    return FrameObjective(model, MinimumBayesRisk(0.5), stores, 40, targets=targets)


def measured(objective):
    """The Fisher matrix at the start, on the held-out data."""
    sample = Sample(Split.HELDOUT, np.arange(len(objective.unit_frames(Split.HELDOUT))))
    statistic, theta = FisherFactors(objective.layers, 5), objective.model.flat.detach()
    with objective.uncounted():
        totals = objective.accumulate(theta, sample, statistic)
    return tuple(statistic.finish(totals, int(objective.unit_frames(Split.HELDOUT).sum())))


def constrained(store, stores):
    """A factorised TDNN, whose constraint is not met at the start."""
    sizes = {"hidden_size": 6, "bottleneck_size": 4, "prefinal_size": 4}
    model = TDNNF(
        feature_dim=store.dim,
        num_pdfs=store.num_pdfs,
        strides=[1, 2],
        # The norm of so few units makes much of rounding errors.
        normalisation="none",
        seed=3,
        **sizes,
    ).double()
    for layer in model.bottlenecks:
        layer.weight.data[0] *= 2
    return ConstrainedObjective(model.constraint(), model, CrossEntropy(), stores, 40)


def parts_of(case):
    """Preconditioner, sampling, acceptance and CG steps."""
    if case == "kfac":
        few = FixedSampling(0.5, 0.3)
        return KFACPreconditioner(refresh_every=2), few, PairedTest(), 1
    if case == "fisher":
        return KFACPreconditioner(refresh_every=2), FixedSampling(0.5, 0.3), Backtracking(), 4
    if case == "variance":
        return (
            DiagonalPreconditioner(),
            VarianceSampling(0.2, curvature_most=0.3),
            Backtracking(),
            6,
        )
    growing = GeometricSampling(0.3, 1.2, 1.0, 0.2, 1.2, 0.5)
    return LBFGSPreconditioner(4), growing, Backtracking(), 6


def train(case, stores, ranks):
    """Ten iterations; returns what should not depend on the number of ranks.

    A case is a problem, and perhaps how vectors live: `sharded`, or `changing` between both.
    """
    case, _, how = case.partition("-")
    inner, in_cg, events = objective_of(case, stores), [], []
    if case == "fisher":
        inner.old_fisher = measured(inner)
    counted, state, optimiser = dict(inner.frames_by_pass), None, None
    for iteration in range(ITERATIONS):
        if iteration in (0, 4, 7) and (iteration == 0 or how == "changing"):
            sharded = how == "sharded" or (how == "changing" and iteration != 4)
            objective = inner if ranks.count == 1 else DataParallel(inner, ranks, counted, sharded)
            theta = inner.model.flat.detach().clone()
            if case == "baseline":
                optimiser = LBFGS(objective=objective, theta=theta)
            else:
                optimiser = hessian_free(case, objective, theta, ranks, in_cg)
            if state is not None:
                optimiser.load_state_dict(state)
        events.append(optimiser.step())
        state, counted = optimiser.state_dict(), objective.frames_by_pass
        check_in_step(ranks, optimiser.iteration, state)
    return {
        "events": [{k: v for k, v in e.items() if k != "phase_seconds"} for e in events],
        "theta": optimiser.theta.tolist(),
        "estimate": optimiser.estimate.tolist(),
        "frames": objective.frames_by_pass,
        "own_frames": inner.frames_by_pass,
        "in_cg": in_cg,
        "held": 0 if case == "baseline" else held_lengths(optimiser),
    }


def held_lengths(optimiser):
    """Lengths of the vectors that CG and the pairs of L-BFGS keep."""
    kept = list(optimiser.solver._workspace._vectors.values())
    pairs = getattr(optimiser.preconditioner, "_pairs", None)
    return sorted({v.shape[-1] for v in [*kept, *([] if pairs is None else [pairs])]})


def hessian_free(case, objective, theta, ranks, in_cg):
    """HF, each of whose CG runs enters its steps and the sizes of its messages into `in_cg`."""
    preconditioner, sampling, acceptance, steps = parts_of(case)
    solver = FlexibleConjugateGradient(max_iterations=steps, along_start=case == "kfac")
    solve, sizes = solver.solve, ranks.sizes

    def counted(*arguments):
        before = len(sizes)
        run = solve(*arguments)
        in_cg.append({"steps": run.iterations, "sizes": sizes[before:]})
        return run

    solver.solve = counted
    return HessianFree(
        objective=objective,
        theta=theta,
        solver=solver,
        preconditioner=preconditioner,
        sampling=sampling,
        damping=LevenbergMarquardt(),
        acceptance=acceptance,
        stopping=Stopping(max_iterations=ITERATIONS, patience=0),
        weight_decay=1e-3 if case == "variance" else 0.0,
        pull=1e-2 if case == "variance" else 0.0,
        pull_fisher=0.1 if case == "fisher" else 0.0,
        averaging=0.9 if case == "kfac" else 0.0,
        seed=1,
    )


def main(folder, rank, cases_of):
    torch.set_num_threads(1)
    stores = {p: FrameStore.open(folder / p.value) for p in Split}
    for count, cases in cases_of.items():
        if rank >= count:
            continue
        store = dist.FileStore(str(folder / f"rendezvous-{count}"), count)
        ranks = CountingRanks(rank, count, rank, count, FailureBoard(store, rank, count), store)
        ranks.connect(torch.device("cpu"), 1800.0)
        for case in cases:
            found = train(case, stores, ranks)
            if ranks.first:
                (folder / f"{case}-{count}.json").write_text(json.dumps(found))
        ranks.close()
    if rank < 2:
        hang(folder, rank)


def hang(folder, rank):
    """Rank 1 does not take part; rank 0 writes FOLDER/hang.txt, what it says of that."""
    store = dist.FileStore(str(folder / "rendezvous-hang"), 2)
    ranks = ProcessGroup(rank, 2, rank, 2, FailureBoard(store, rank, 2, grace=1.0), store)
    ranks.connect(torch.device("cpu"), 4.0)
    said = folder / "hang.txt"
    end = time.monotonic() + 60
    if rank == 1:
        while not said.exists() and time.monotonic() < end:
            time.sleep(0.1)
        return
    try:
        ranks.all_reduce(torch.zeros(3))
    except LostRank as error:
        said.write_text(str(error))


if __name__ == "__main__":
    _, where, number, *chosen = sys.argv
    names = dict(one.split(":") for one in chosen)
    main(Path(where), int(number), {int(n): cases.split(",") for n, cases in names.items()})
