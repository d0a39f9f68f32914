"""Times one whole Hessian-free iteration by its phases."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.curvature.precision import Precision, matrix_arithmetic
from asr_hf.hf.acceptance import Backtracking
from asr_hf.hf.damping import LevenbergMarquardt
from asr_hf.hf.hessian_free import HessianFree, Stopping
from asr_hf.hf.objective import Curvature, LossSum, Objective, Sample, Split
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.runtime.clock import PhaseClock
from asr_hf.training.feeding.frame_source import make_sources, room_for_features
from asr_hf.training.frame_objective import FrameObjective
from benchmarks.busy import busy_fraction
from benchmarks.gemm import product_gemms
from benchmarks.nets import Net
from benchmarks.rounds import Spread, Task, interleave, valid
from benchmarks.synthetic import make_store

# The preconditioner's pairs fill one buffer while the other is in use. The third iteration is the
# first that has both in the same state as later ones.
WARM_UP = 2
# Passes through the data; everything else in an iteration is overhead.
PASSES = ("gradient", "curvature_setup", "products", "loss")


@dataclass(frozen=True)
class Work:
    """The size of an iteration.

    Args:
        gradient: number of frames of the gradient.
        curvature: number of frames of the curvature.
        heldout: number of frames of the acceptance test.
        cg: largest number of CG steps.
        rounds: number of iterations that must count.
        spare: most iterations beyond those, in place of void ones.
    """

    gradient: int
    curvature: int
    heldout: int
    cg: int
    rounds: int
    spare: int = 1


class TimedObjective:
    """An objective whose passes are timed; see `Objective`."""

    def __init__(self, inner: FrameObjective) -> None:
        self._inner = inner
        self.num_parameters, self.device = inner.num_parameters, inner.device
        self.unit_frames, self.space = inner.unit_frames, inner.space
        self.layers, self.weights, self.pulled = inner.layers, inner.weights, inner.pulled
        self.old_fisher = inner.old_fisher
        self.accumulate = inner.accumulate
        self.statistics_of_samples, self.common = inner.statistics_of_samples, inner.common
        self.statistics, self.renew_statistics = inner.statistics, inner.renew_statistics
        self.begin_iteration = inner.begin_iteration
        self.clock = PhaseClock(inner.device)

    def loss(self, theta: Tensor, sample: Sample) -> LossSum:
        """See `Objective`; timed as "loss"."""
        with self.clock.phase("loss"):
            return self._inner.loss(theta, sample)

    def gradient(self, theta: Tensor, sample: Sample) -> tuple[LossSum, Tensor]:
        """See `Objective`; timed as "gradient"."""
        with self.clock.phase("gradient"):
            return self._inner.gradient(theta, sample)

    def curvature(self, theta: Tensor, sample: Sample) -> Curvature:
        """See `Objective`; timed as "curvature_setup"."""
        with self.clock.phase("curvature_setup"):
            return _TimedCurvature(self._inner.curvature(theta, sample), self.clock)


class _TimedCurvature:
    """A curvature whose products are timed as "products"."""

    def __init__(self, inner: Curvature, clock: PhaseClock) -> None:
        self._inner, self._clock = inner, clock
        self.num_frames, self.precision = inner.num_frames, inner.precision

    def product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        with self._clock.phase("products"):
            return self._inner.product(vector, out)

    def exact_product(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        with self._clock.phase("products"):
            return self._inner.exact_product(vector, out)

    def raise_precision(self) -> None:
        with self._clock.phase("curvature_setup"):
            self._inner.raise_precision()
        self.precision = self._inner.precision


def compare(
    net: Net, device: torch.device, work: Work, precision: Precision = Precision.FP32
) -> dict[str, Any]:
    """Time iterations with the default solver and preconditioner, after some for warming up."""
    dtype = torch.bfloat16 if precision is Precision.BF16 else torch.float32
    with matrix_arithmetic(precision), tempfile.TemporaryDirectory() as folder:
        inner = make_objective(net, device, work, precision, Path(folder))
        timed = TimedObjective(inner)
        optimiser = _optimiser(timed, inner.model.flat, work)
        for _ in range(WARM_UP):
            optimiser.step()
        optimiser.sampling = FixedSampling(1.0, work.curvature / work.gradient)
        phases: list[dict[str, float]] = []
        events: list[dict[str, Any]] = []

        def iterate() -> None:
            timed.clock = PhaseClock(device)
            events.append(optimiser.step())
            phases.append(timed.clock.seconds)

        tasks: dict[str, Task] = {"iteration": iterate}
        rounds = interleave(
            tasks,
            product_gemms(net, device, dtype),
            device,
            work.rounds,
            work.rounds + work.spare,
            f"HF iteration, net {net.name}",
            repeat=False,
        )
        good = valid(rounds.all)
        record = summarise(
            [p for p, ok in zip(phases, good, strict=True) if ok],
            [r.seconds["iteration"] for r in rounds.valid],
        )
        if device.type == "cuda":
            optimiser.objective = inner
            record["gpu_busy_fraction"] = busy_fraction(optimiser.step)
    cg = [event["cg_iterations"] for event, ok in zip(events, good, strict=True) if ok]
    return {**asdict(work), "cg_iterations": cg, **record, "rounds": rounds.counts()}


def summarise(phases: Sequence[dict[str, float]], totals: Sequence[float]) -> dict[str, Any]:
    """Summarise seconds by phase, and the share of all that is no pass through the data.

    Args:
        phases: seconds by phase of each iteration.
        totals: seconds of each whole iteration.

    Returns:
        The figures, plain values.
    """
    rest = [t - sum(p.get(k, 0.0) for k in PASSES) for p, t in zip(phases, totals, strict=True)]
    shares = [r / t for r, t in zip(rest, totals, strict=True)]
    seconds = {name: Spread.of([p.get(name, 0.0) for p in phases]) for name in PASSES}
    seconds |= {"rest": Spread.of(rest), "whole": Spread.of(totals)}
    return {
        "seconds": {name: asdict(spread) for name, spread in seconds.items()},
        "overhead": asdict(Spread.of(shares)),
    }


def make_objective(
    net: Net, device: torch.device, work: Work, precision: Precision, folder: Path
) -> FrameObjective:
    """Make a net of random weights on stores of random frames, written to `folder`."""
    dim, pdfs = net.feature_dim, net.sizes[-1]
    stores = {
        Split.TRAIN: make_store(folder / "train", work.gradient, dim, pdfs, seed=1),
        Split.HELDOUT: make_store(folder / "heldout", work.heldout, dim, pdfs, seed=2),
    }
    sources = make_sources(stores, device, room_for_features(device, None, None))
    return FrameObjective(
        net.model().to(device), CrossEntropy(), stores, precision=precision, sources=sources
    )


def _optimiser(objective: Objective, theta: Tensor, work: Work) -> HessianFree:
    """Make the optimiser of conf/ with a bound on CG; its first iterations use little data."""
    return HessianFree(
        objective=objective,
        theta=theta.detach().clone(),
        solver=FlexibleConjugateGradient(max_iterations=work.cg),
        preconditioner=LBFGSPreconditioner(),
        sampling=FixedSampling(1 / 8, 1 / 16),
        damping=LevenbergMarquardt(),
        acceptance=Backtracking(),
        stopping=Stopping(),
    )
