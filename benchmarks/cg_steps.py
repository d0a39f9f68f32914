"""Measure how many CG steps each preconditioner saves, on the networks of finished runs.

    python -m benchmarks.cg_steps exp/RUN [exp/RUN ...] [options]

One HF iteration is done at a run's network, and its CG run leaves pairs. At the network after that
step, on fresh samples, every candidate then minimises the same quadratic.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from asr_hf.cli.typed import settings_of
from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.hf.damping import DampedOperator
from asr_hf.hf.objective import Objective, Sample, Split
from asr_hf.hf.preconditioners.base import Preconditioner
from asr_hf.hf.preconditioners.diagonal import DiagonalPreconditioner
from asr_hf.hf.preconditioners.identity import IdentityPreconditioner
from asr_hf.hf.preconditioners.kfac import KFACPreconditioner
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.hf.sampling.base import UnitSampler
from asr_hf.hf.solvers.base import SolverResult
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.hf.solvers.stopping import FixedSteps
from asr_hf.hf.statistics import SampleStatistics
from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.files import write_json, write_text
from asr_hf.runtime.logs import configure_logging
from asr_hf.runtime.progress import progress
from asr_hf.runtime.run_config import read_run_config
from asr_hf.stages.training.stores import open_stores
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.model_file import load_model
from benchmarks.machine import describe

log = logging.getLogger("asr_hf.benchmarks")

ROOT = Path(__file__).resolve().parents[1]
SHARES = (0.5, 0.8, 0.95)


@dataclass(frozen=True)
class Place:
    """The parameters and samples of a quadratic model.

    Args:
        theta: the network's parameters [n].
        gradient: mean gradient on a sample of its own [n].
        sample: curvature sample.
        seed: seed of the labels drawn from the model.
    """

    theta: Tensor
    gradient: Tensor
    sample: Sample
    seed: int


@dataclass(frozen=True)
class Trial:
    """One candidate's CG run.

    Args:
        label: name of the candidate.
        values: q after each step, starting with q(d0).
    """

    label: str
    values: list[float]


class Renewing:
    """An L-BFGS preconditioner that starts to use pairs of the present run every few steps."""

    def __init__(self, inner: LBFGSPreconditioner, place: SampleStatistics, every: int) -> None:
        self.inner, self.statistics, self.every = inner, place, every
        self.damping, self.steps = 0.0, 0

    def prepare(self, damping: float, statistics: SampleStatistics) -> None:
        """See `Preconditioner`."""
        self.damping = damping
        self.inner.prepare(damping, statistics)

    def apply(self, residual: Tensor, out: Tensor | None = None) -> Tensor:
        """Return H r [n]."""
        return self.inner.apply(residual, out)

    def observe(self, direction: Tensor, product: Tensor) -> None:
        """Take a pair, and renew H every few steps."""
        self.inner.observe(direction, product)
        self.steps += 1
        if self.steps % self.every == 0:
            self.inner.finish()
            self.inner.prepare(self.damping, self.statistics)


class Bench:
    """The trials at one network.

    Args:
        objective: loss.
        theta: parameters of the network [n].
        frames: number of frames of the curvature sample; the gradient's has four times as many.
        damping: damping λ.
        steps: number of steps of a candidate's CG run.
    """

    def __init__(
        self, objective: Objective, theta: Tensor, frames: int, damping: float, steps: int
    ) -> None:
        self.objective, self.damping, self.steps = objective, damping, steps
        self.frames = frames
        self.sampler = UnitSampler(objective.unit_frames(Split.TRAIN), 0)
        before = self._place(theta, 0)
        gathered: list[tuple[Tensor, Tensor]] = []
        run = self._solve(before, torch.zeros_like(theta), _Gathering(gathered), steps)
        self.pairs = gathered
        self.step = self._best_step(theta, run)
        self.place = self._place(theta + self.step, 1)

    def _place(self, theta: Tensor, number: int) -> Place:
        sample = self.sampler.draw(4 * self.frames)
        loss, gradient = self.objective.gradient(theta, sample)
        subset = self.sampler.subset(sample, self.frames, number)
        return Place(theta, gradient.div_(loss.num_frames), subset, number)

    def _best_step(self, theta: Tensor, run: SolverResult) -> Tensor:
        """Find the iterate with the lowest held-out loss, which the acceptance rule would take."""
        units = len(self.objective.unit_frames(Split.HELDOUT))
        heldout = Sample(Split.HELDOUT, torch.arange(units).numpy())
        best = min(run.iterates, key=lambda it: self.objective.loss(theta + it.d, heldout).mean)
        return best.d.clone()

    def _solve(self, place: Place, d0: Tensor, preconditioner: Any, steps: int) -> SolverResult:
        curvature = self.objective.curvature(place.theta, place.sample)
        operator = DampedOperator(curvature, self.damping)
        solver = FlexibleConjugateGradient(stopping=FixedSteps(steps), residual_tolerance=0.0)
        return solver.solve(operator, place.gradient.neg(), d0, preconditioner)

    def statistics(self) -> SampleStatistics:
        """Open the statistics of the second place's curvature sample."""
        place = self.place
        return SampleStatistics(
            self.objective, place.theta, place.sample, place.gradient, place.seed
        )

    def trial(
        self, label: str, preconditioner: Preconditioner | Renewing, d0: Tensor | None = None
    ) -> Trial:
        """Run one candidate at the second place."""
        preconditioner.prepare(self.damping, self.statistics())
        zero = torch.zeros_like(self.place.theta)
        run = self._solve(self.place, zero if d0 is None else d0, preconditioner, self.steps)
        return Trial(label, run.values)

    def lbfgs(self, pairs: int, keep: str = "spread", initial: Any = None) -> LBFGSPreconditioner:
        """Make an L-BFGS preconditioner from the first place's CG run."""
        made = LBFGSPreconditioner(pairs, keep, initial)
        for direction, product in self.pairs:
            made.observe(direction, product)
        made.finish()
        return made

    def trials(self) -> Iterator[Callable[[], Trial]]:
        """Yield every candidate, the most informative first."""
        identity = IdentityPreconditioner
        warm = 0.95 * self.step
        yield lambda: self.trial("none", identity())
        yield lambda: self.trial("none, warm start", identity(), warm)
        yield lambda: self.trial("diagonal (Martens)", DiagonalPreconditioner())
        for m in (4, 8, 16, 32):
            yield lambda m=m: self.trial(f"L-BFGS, m = {m}", self.lbfgs(m))  # type: ignore[misc]
        yield lambda: self.trial("L-BFGS, m = 16, first pairs", self.lbfgs(16, "first"))
        yield lambda: self.trial("L-BFGS, m = 16, last pairs", self.lbfgs(16, "last"))
        yield lambda: self.trial("L-BFGS, m = 16, warm start", self.lbfgs(16), warm)
        yield lambda: self.trial(
            "L-BFGS, m = 16, renewed every 8 steps",
            Renewing(self.lbfgs(16), self.statistics(), 8),
        )
        yield lambda: self.trial("K-FAC", KFACPreconditioner())
        yield lambda: self.trial("K-FAC, warm start", KFACPreconditioner(), warm)
        yield lambda: self.trial(
            "L-BFGS, m = 16, on K-FAC", self.lbfgs(16, initial=KFACPreconditioner())
        )


class _Gathering(IdentityPreconditioner):
    """Keeps every pair of a run."""

    def __init__(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        self.pairs = pairs

    def observe(self, direction: Tensor, product: Tensor) -> None:
        self.pairs.append((direction.clone(), product.clone()))


def steps_to(values: list[float], target: float) -> int | None:
    """Count the steps until q is at `target` or below; None if it never is."""
    return next((step for step, value in enumerate(values) if value <= target), None)


def table(trials: list[Trial]) -> str:
    """Tabulate the steps to shares of the lowest q of any candidate."""
    lowest = min(min(trial.values) for trial in trials)
    heads = [f"steps to {share:.0%}" for share in SHARES]
    lines = [
        "| preconditioner | " + " | ".join(heads) + " | share found |",
        "| :-- |" + " --: |" * (len(SHARES) + 1),
    ]
    for trial in trials:
        cells = [steps_to(trial.values, share * lowest) for share in SHARES]
        shown = ["–" if cell is None else str(cell) for cell in cells]
        share_found = f"{min(trial.values) / lowest:.1%}"
        lines.append(f"| {trial.label} | " + " | ".join(shown) + f" | {share_found} |")
    return "\n".join(lines)


def study(run: Path, frames: int, dampings: list[float], steps: int) -> list[dict[str, Any]]:
    """Run every candidate at the network of one run, for each λ."""
    config = OmegaConf.create(read_run_config(run))
    # Whole utterances, whatever the run was trained with.
    stores = open_stores(settings_of(config))
    model, _ = load_model(run / "model.safetensors")
    objective = FrameObjective(model, CrossEntropy(), stores)
    places = []
    for damping in dampings:
        bench = Bench(objective, model.flat.detach().clone(), frames, damping, steps)
        todo = list(bench.trials())
        trials = [
            make_trial()
            for make_trial in progress(todo, desc=f"{run.name}, λ {damping:g}", unit="trial")
        ]
        places.append(
            {
                "run": run.name,
                "lambda": damping,
                "trials": [asdict(make_trial) for make_trial in trials],
            }
        )
    return places


@with_exit_code
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cg_steps", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs")
    parser.add_argument("--frames", type=int, default=10_000, help="of the curvature sample")
    parser.add_argument("--damping", type=float, nargs="+", default=[0.05, 0.002])
    parser.add_argument("--steps", type=int, default=50, help="of each CG run")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    configure_logging(debug=False)
    torch.set_num_threads(options.threads)
    places = [
        place
        for run in options.runs
        for place in study(run, options.frames, options.damping, options.steps)
    ]
    settings = {"frames": options.frames, "steps": options.steps}
    machine = describe(torch.device("cpu"))
    results = ROOT / "benchmarks" / "results"
    write_json(results / "cg-steps.json", {"machine": machine, **settings, "places": places})
    sections = [
        f"## {place['run']}, λ = {place['lambda']:g}\n\n"
        + table([Trial(**trial) for trial in place["trials"]])
        for place in places
    ]
    write_text(results / "cg-steps.md", "# CG steps\n\n" + "\n\n".join(sections) + "\n")
    log.info("figures in %s", results / "cg-steps.md")


if __name__ == "__main__":
    raise SystemExit(main())
