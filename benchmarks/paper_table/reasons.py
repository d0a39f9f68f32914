"""Tell what L-BFGS pairs are worth: python -m benchmarks.paper_table.reasons exp/RUN [options].

At the models that a row of the table kept after two iterations in succession, CG runs to its end:
without a preconditioner, with the pairs of the iteration before, and with pairs that differ from
those in one thing alone, their age or their sample.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from asr_hf.cli.typed import settings_of
from asr_hf.curvature.statistic import CurvatureStatistics
from asr_hf.hf.damping import DampedOperator
from asr_hf.hf.objective import Objective, Sample, Split
from asr_hf.hf.preconditioners.base import Preconditioner
from asr_hf.hf.preconditioners.identity import IdentityPreconditioner
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.hf.sampling.base import UnitSampler
from asr_hf.hf.solvers.base import SolverResult
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.hf.statistics import SampleStatistics
from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.files import read_json, write_json
from asr_hf.runtime.logs import configure_logging
from asr_hf.runtime.run_config import read_run_config
from asr_hf.stages.train import make_objective
from asr_hf.stages.training.stores import open_stores
from asr_hf.training.model_file import load_model
from benchmarks.cg_steps import steps_to
from benchmarks.machine import describe
from benchmarks.paper_table.commands import ROOT

log = logging.getLogger("asr_hf.benchmarks")

RESULTS = ROOT / "benchmarks/results/paper-table-reasons.json"
SHARES = (0.5, 0.8, 0.95, 0.99)
_MOST = 250


@dataclass(frozen=True)
class Place:
    """A quadratic model.

    Args:
        theta: the network's parameters [n].
        gradient: mean gradient [n].
        sample: curvature sample.
    """

    theta: Tensor
    gradient: Tensor
    sample: Sample


class Gathering(IdentityPreconditioner):
    """No preconditioner; keeps every pair of a run."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def observe(self, direction: Tensor, product: Tensor) -> None:
        """Take a pair."""
        self.pairs.append((direction.clone(), product.clone()))

    def lbfgs(self, pairs: int) -> LBFGSPreconditioner:
        """Make an L-BFGS preconditioner of these pairs."""
        made = LBFGSPreconditioner(pairs)
        for direction, product in self.pairs:
            made.observe(direction, product)
        made.finish()
        return made


class Bench:
    """CG runs at two models in succession.

    Args:
        objective: the loss.
        thetas: parameters of both [n].
        share: size of the gradient samples, as a share of the training frames.
    """

    def __init__(self, objective: Objective, thetas: tuple[Tensor, Tensor], share: float) -> None:
        self.objective, self.thetas = objective, thetas
        self.sampler = UnitSampler(objective.unit_frames(Split.TRAIN), 0)
        frames = round(share * self.sampler.total)
        self.samples = [self.sampler.draw(frames) for _ in thetas]
        self.gradients, self.losses = [], []
        for theta, sample in zip(thetas, self.samples, strict=True):
            loss, gradient = objective.gradient(theta, sample)
            self.gradients.append(gradient.div_(loss.num_frames))
            self.losses.append(loss.mean)

    def place(self, model: int, sample: int, frames: int) -> Place:
        """Return the quadratic of one of the models on a sample of one of the iterations."""
        subset = self.sampler.subset(self.samples[sample], frames, sample)
        return Place(self.thetas[model], self.gradients[model], subset)

    def rho(self, run: SolverResult) -> float:
        """Return the reduction ratio of a run at the second model, on its gradient sample."""
        loss = self.objective.loss(self.thetas[1] + run.iterates[-1].d, self.samples[1]).mean
        return (loss - self.losses[1]) / run.values[-1]

    def solve(self, place: Place, damping: float, preconditioner: Preconditioner) -> SolverResult:
        """Run CG from zero to its own end."""
        statistics: CurvatureStatistics = SampleStatistics(
            self.objective, place.theta, place.sample, place.gradient, 0
        )
        preconditioner.prepare(damping, statistics)
        operator = DampedOperator(self.objective.curvature(place.theta, place.sample), damping)
        solver = FlexibleConjugateGradient(max_iterations=_MOST)
        zero = torch.zeros_like(place.theta)
        return solver.solve(operator, place.gradient.neg(), zero, preconditioner)

    def trials(self, frames: int, damping: float) -> tuple[float, list[dict[str, Any]]]:
        """Run every candidate at the second model.

        Args:
            frames: number of frames of curvature samples.
            damping: λ.

        Returns:
            ρ without a preconditioner, and the figures of every candidate.
        """
        here = self.place(1, 1, frames)
        own = Gathering()
        alone = self.solve(here, damping, own)
        rho, values = self.rho(alone), list(alone.values)
        return rho, figures([("none", values), *self._preconditioned(here, frames, damping, own)])

    def _preconditioned(
        self, here: Place, frames: int, damping: float, own: Gathering
    ) -> Iterator[tuple[str, list[float]]]:
        sources = {
            "of the iteration before": self.place(0, 0, frames),
            "of the model before, same sample": self.place(0, 1, frames),
            "of the same model, other sample": self.place(1, 0, frames),
        }
        for label, place in sources.items():
            gathered = Gathering()
            self.solve(place, damping, gathered)
            for pairs in (16, 64):
                run = self.solve(here, damping, gathered.lbfgs(pairs))
                yield f"{pairs} pairs {label}", run.values
        yield "16 pairs of this very run", self.solve(here, damping, own.lbfgs(16)).values


def figures(trials: Sequence[tuple[str, list[float]]]) -> list[dict[str, Any]]:
    """Count each candidate's steps, to its end and to shares of what CG finds without any."""
    (_, alone), *_ = trials
    return [
        {
            "label": label,
            "steps": len(values) - 1,
            "value": values[-1],
            "steps_to": {f"{share:g}": steps_to(values, share * alone[-1]) for share in SHARES},
        }
        for label, values in trials
    ]


def study(
    run: Path, iteration: int, share: float, frames: Sequence[int], dampings: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """Run the candidates at the models of a run after `iteration` and the next one.

    Args:
        run: folder of a run that kept its models.
        iteration: number of an iteration; 0 is the start.
        share: size of gradient samples, as a share of the training frames.
        frames: numbers of frames of curvature samples.
        dampings: λ.

    Yields:
        The figures of each λ and number of frames, plain values.
    """
    settings = settings_of(OmegaConf.create(read_run_config(run)))
    stores = open_stores(settings)
    models = [
        load_model(run / "models" / f"iteration-{iteration + k:04d}.safetensors")[0] for k in (0, 1)
    ]
    objective = make_objective(settings, stores, models[0], torch.device("cpu"))
    first, second = (model.flat.detach().clone() for model in models)
    bench = Bench(objective, (first, second), share)
    for damping in dampings:
        for count in frames:
            place = {"run": run.name, "iteration": iteration, "lambda": damping, "frames": count}
            rho, trials = bench.trials(count, damping)
            log.info("λ %g, %d frames: ρ %.3f, %d steps", damping, count, rho, trials[0]["steps"])
            yield place | {"gradient_share": share, "rho": rho, "trials": trials}


@with_exit_code
def main(given: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper_table.reasons")
    parser.add_argument("run", type=Path, help="folder of a row's run, with its models")
    parser.add_argument("--iteration", type=int, default=0, help="of the first of two models")
    parser.add_argument("--share", type=float, default=0.5, help="of the data for gradients")
    parser.add_argument("--frames", type=int, nargs="+", default=[4096])
    parser.add_argument("--damping", type=float, nargs="+", default=[1e-2, 1e-3, 1e-4])
    options = parser.parse_args(given)
    configure_logging(debug=False)
    torch.set_num_threads(1)
    known = read_json(RESULTS)["places"] if RESULTS.exists() else []
    for place in study(
        options.run, options.iteration, options.share, options.frames, options.damping
    ):
        known = [*(k for k in known if not _same(k, place)), place]
        write_json(RESULTS, {"machine": describe(torch.device("cpu")), "places": known})


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[key] == other[key] for key in ("run", "iteration", "lambda", "frames"))


if __name__ == "__main__":
    raise SystemExit(main())
