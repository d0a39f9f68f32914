"""Time an HF iteration by several processes and by one: python -m benchmarks.distributed [options].

Each process has one thread on a core of its own. Runs of one and of several processes alternate.
They do the same iterations on the same data, so that their seconds can be compared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_hf.curvature.precision import Precision
from asr_hf.hf.acceptance import Backtracking
from asr_hf.hf.damping import LevenbergMarquardt
from asr_hf.hf.hessian_free import HessianFree, Stopping
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.hf.solvers.stopping import FixedSteps
from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.files import read_json, write_json
from asr_hf.runtime.launch import run_processes
from asr_hf.runtime.process_group import ProcessGroup, process_group_from_environment
from asr_hf.training.distributed.data_parallel import DataParallel
from benchmarks.iteration import Work, make_objective
from benchmarks.machine import describe
from benchmarks.nets import NETS, QUICK_NETS, Net

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
_TIMEOUT = 1800.0
_MESSAGES = 10


@dataclass(frozen=True)
class Plan:
    """Net and iterations to measure.

    Args:
        net: shape of the net.
        work: work of an iteration; `cg` is the exact number of steps.
    """

    net: Net
    work: Work


FULL = Plan(NETS[0], Work(40_960, 20_480, 4_096, 5, 1))
QUICK = Plan(QUICK_NETS[0], Work(4_096, 2_048, 512, 5, 1))


class TimedRanks(ProcessGroup):
    """A process group that adds up the seconds of sums, with waiting for other ranks."""

    seconds = 0.0

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """See `ProcessGroup`."""
        start = time.perf_counter()
        result = super().all_reduce(tensor)
        self.seconds += time.perf_counter() - start
        return result


def work_as_rank(plan: Plan, iterations: int, folder: Path) -> None:
    """Do a warm-up iteration and some more; rank 0 writes `folder`/found.json."""
    met = process_group_from_environment()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[met.local_rank % len(cores)]})
    torch.set_num_threads(1)
    group = TimedRanks(met.rank, met.count, met.local_rank, met.local_count, met.board, met.store)
    group.connect(CPU, _TIMEOUT)
    inner = make_objective(plan.net, CPU, plan.work, Precision.FP32, folder / f"rank-{met.rank}")
    objective = inner if group.count == 1 else DataParallel(inner, group, inner.frames_by_pass)
    optimiser = HessianFree(
        objective=objective,
        theta=inner.model.flat.detach().clone(),
        solver=FlexibleConjugateGradient(stopping=FixedSteps(plan.work.cg)),
        preconditioner=LBFGSPreconditioner(),
        sampling=FixedSampling(1.0, plan.work.curvature / plan.work.gradient),
        damping=LevenbergMarquardt(),
        acceptance=Backtracking(),
        stopping=Stopping(),
    )
    optimiser.step()
    rows = []
    for _ in range(iterations):
        group.all_reduce(torch.zeros(1))
        group.seconds, start = 0.0, time.perf_counter()
        event = optimiser.step()
        rows.append(
            {
                "seconds": time.perf_counter() - start,
                "messages": group.seconds,
                "loss": event["train_loss"],
                "curvature_frames": event["curvature_frames"],
            }
        )
    messages = {str(size): message_seconds(group, size) for size in (1, plan.net.parameters)}
    if group.first:
        write_json(folder / "found.json", {"iterations": rows, "message_seconds": messages})
    group.close()


def message_seconds(group: ProcessGroup, size: int) -> float:
    """Measure the median seconds of a sum of vectors of `size` float32 numbers over the ranks."""
    vector, taken = torch.zeros(size), []
    for _ in range(_MESSAGES):
        start = time.perf_counter()
        group.all_reduce(vector)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def measure(count: int, options: argparse.Namespace) -> dict[str, Any]:
    """Measure the iterations of `count` processes."""
    command = [sys.executable, "-m", "benchmarks.distributed"]
    command += ["--quick"] * options.quick + ["--iterations", str(options.iterations)]
    with tempfile.TemporaryDirectory() as folder:
        environment = {"OMP_NUM_THREADS": "1"}
        run_processes([*command, "--worker", folder], count, environment)
        figures: dict[str, Any] = read_json(Path(folder) / "found.json")
    return figures


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Compare one process with several, in turns.

    `efficiency` of an iteration is the seconds of one process over N times the seconds of N.

    Returns:
        The figures, plain values.
    """
    counts = (1, options.processes)
    figures: dict[int, list[dict[str, Any]]] = {count: [] for count in counts}
    for _ in range(options.rounds):
        for count in counts:
            figures[count].append(measure(count, options))
    seconds = {
        count: statistics.median(row["seconds"] for run in runs for row in run["iterations"])
        for count, runs in figures.items()
    }
    plan = QUICK if options.quick else FULL
    return {
        "machine": describe(CPU),
        "net": plan.net.layout,
        "work": asdict(plan.work),
        "seconds": {str(count): value for count, value in seconds.items()},
        "efficiency": seconds[1] / (options.processes * seconds[options.processes]),
        "runs": {str(count): runs for count, runs in figures.items()},
    }


@with_exit_code
def main(given: list[str]) -> None:
    """Measure, write benchmarks/results/distributed.json, and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small net, into build/bench")
    parser.add_argument("--processes", type=int, default=2, help="to compare with one")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    parser.add_argument("--iterations", type=int, default=2, help="timed in each turn")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(given)
    if options.worker is not None:
        work_as_rank(QUICK if options.quick else FULL, options.iterations, options.worker)
        return
    folder = ROOT / ("build/bench" if options.quick else "benchmarks/results")
    result = compare(options)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "distributed.json", result)
    print({key: result[key] for key in ("seconds", "efficiency")})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
