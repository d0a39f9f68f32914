"""Predict the time of iterations by a model: python -m benchmarks.scaling measure|draw.

`measure` measures constants of this machine with one and two processes, and compares the model with
benchmarks/results/distributed.json; `draw` applies the model to machines that we do not have.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from asr_hf.curvature.precision import Precision
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.solvers.stopping import stored_iterations
from asr_hf.report.picture_style import house_style, save_picture
from asr_hf.report.scale import si
from asr_hf.runtime.files import read_json, write_json
from asr_hf.runtime.launch import run_processes
from asr_hf.runtime.process_group import process_group_from_environment
from benchmarks.distributed import FULL, message_seconds
from benchmarks.iteration import Work, make_objective
from benchmarks.machine import describe
from benchmarks.nets import NETS
from benchmarks.scaling_model import Case, Link, Machine, iteration, state_bytes

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results"
CPU = torch.device("cpu")
_FRAMES = 2048
_ROUNDS = 3
_HOUR = 360_000
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
# Assumed, not measured: 60 % of each figure in an A100's data sheet (156 TF/s TF32, 2.0 TB/s,
# NVLink 600 GB/s both ways); 100 Gb/s for a node of eight.
_TF32, _HBM, _NVLINK, _NETWORK, _SHARE = 156e12, 2.0e12, 300e9, 12.5e9, 0.6
_LATENCY_INSIDE, _LATENCY_OUTSIDE, _PASS = 5e-6, 15e-6, 1e-3


def fastest(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some runs, which others disturb least."""
    taken = []
    for _ in range(_ROUNDS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def constants() -> dict[str, float]:
    """Measure seconds for a frame of net A, and bytes a second, on one core."""
    torch.set_num_threads(1)
    work = Work(_FRAMES, _FRAMES, _FRAMES, 1, 1)
    with tempfile.TemporaryDirectory() as folder:
        objective = make_objective(NETS[0], CPU, work, Precision.FP32, Path(folder))
        theta = objective.model.flat.detach().clone()
        sample = Sample(Split.TRAIN, np.arange(len(objective.unit_frames(Split.TRAIN))))
        frames = int(objective.unit_frames(Split.TRAIN).sum())
        curvature = objective.curvature(theta, sample)
        vector, out = torch.randn_like(theta), torch.empty_like(theta)
        return {
            "gradient": fastest(lambda: objective.gradient(theta, sample)) / frames,
            "product": fastest(lambda: curvature.product(vector, out)) / frames,
            "forward": fastest(lambda: objective.loss(theta, sample)) / frames,
            "memory": 3 * 4 * len(theta) / fastest(lambda: out.add_(vector, alpha=0.5)),
        }


def work_as_rank(out: Path) -> None:
    """Time messages, and passes while the other core works as well; rank 0 writes them to `out`."""
    group = process_group_from_environment()
    group.connect(CPU, 600.0)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[group.local_rank % len(cores)]})
    figures: dict[str, Any] = {str(n): message_seconds(group, n) for n in (1, NETS[0].parameters)}
    figures["constants"] = constants()
    if group.first:
        write_json(out, figures)
    group.close()


def measure() -> dict[str, Any]:
    """Measure this machine's constants, and compare the model with measured iterations."""
    measured = constants()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "messages.json"
        command = [sys.executable, "-m", "benchmarks.scaling", "rank", str(out)]
        run_processes(command, 2, {"OMP_NUM_THREADS": "1"})
        messages = read_json(out)
    size = NETS[0].parameters
    latency = messages["1"] / 2
    link = Link(4 * size / max(messages[str(size)] - messages["1"], 1e-9), latency)
    alone, shared = (
        Machine(**c, pass_overhead=0.0, inside=link, outside=link, node=os.cpu_count() or 1)
        for c in (measured, messages["constants"])
    )
    work = FULL.work
    # The smallest number of losses: two iterates on held-out data, one on the gradient sample.
    looked_at = (2 * work.heldout + work.gradient) / 3
    case = Case(size, work.gradient, work.curvature, looked_at, work.cg, 3, 0)
    timed = read_json(RESULTS / "distributed.json")["seconds"]
    check = {
        count: {
            "measured": seconds,
            "predicted": iteration(alone if count == "1" else shared, case, int(count)).total,
        }
        for count, seconds in timed.items()
    }
    efficiency = {
        kind: check["1"][kind] / (2 * check["2"][kind]) for kind in ("measured", "predicted")
    }
    return {
        "machine": describe(CPU),
        "constants": asdict(alone),
        "constants_of_two": asdict(shared),
        "check": check,
        "efficiency": efficiency,
    }


def gpu(parameters: int) -> Machine:
    """Assume nodes of eight GPUs, with 6, 8 and 2 operations for each frame and parameter."""
    second = parameters / (_TF32 * _SHARE)
    return Machine(
        gradient=6 * second,
        product=8 * second,
        forward=2 * second,
        pass_overhead=_PASS,
        memory=_HBM * _SHARE,
        inside=Link(_NVLINK * _SHARE, _LATENCY_INSIDE),
        outside=Link(_NETWORK * _SHARE, _LATENCY_OUTSIDE),
        node=8,
    )


def cases() -> dict[str, Case]:
    """List cases with an early sample (5 % for the gradient) and all data, of 300 h and 2000 h."""
    n = NETS[1].parameters
    by_name = {}
    for hours in (300, 2000):
        for name, part in (("early", 0.05), ("late", 1.0)):
            frames = hours * _HOUR * part
            by_name[f"{hours} h, {name}"] = Case(
                n, frames, 0.2 * frames, 360_000, 20, 5, 16, 400, len(stored_iterations(1.3, 250))
            )
    return by_name


def predict() -> dict[str, Any]:
    """Predict seconds and efficiency of each case, whole and sharded, by number of workers."""
    table: dict[str, Any] = {}
    for name, case in cases().items():
        machine = gpu(case.parameters)
        alone = iteration(machine, case, 1).total
        for sharded in (False, True):
            rows = []
            for workers in WORKERS:
                spent = iteration(machine, case, workers, sharded)
                rows.append(
                    {
                        "workers": workers,
                        **asdict(spent),
                        "total": spent.total,
                        "efficiency": alone / (workers * spent.total),
                        "state_bytes": state_bytes(case, workers, sharded),
                    }
                )
            table[f"{name}, {'sharded' if sharded else 'whole'}"] = rows
    return table


def draw(table: dict[str, Any], out: Path) -> None:
    """Draw the seconds of an iteration over the number of workers into an SVG file."""
    with house_style():
        figure = Figure(figsize=(10, 7), layout="constrained")
        for axes, name in zip(figure.subplots(2, 2).flat, cases(), strict=True):
            for kind, style in (("whole", "-"), ("sharded", "--")):
                rows = table[f"{name}, {kind}"]
                axes.loglog(WORKERS, [row["total"] for row in rows], style, label=kind)
            rows = table[f"{name}, whole"]
            for part in ("compute", "messages", "vectors"):
                axes.loglog(WORKERS[1:], [row[part] for row in rows[1:]], ":", label=part)
            axes.set(title=name, xlabel="workers", ylabel="seconds an iteration")
            axes.xaxis.set_major_formatter(lambda value, _: si(value))
            axes.yaxis.set_major_formatter(lambda value, _: si(value))
            axes.legend(fontsize=7)
        save_picture(figure, out)


def main(given: list[str]) -> int:
    """Run the command and write benchmarks/results/scaling.json."""
    path = RESULTS / "scaling.json"
    results = read_json(path) if path.exists() else {}
    match given:
        case ["rank", out]:
            work_as_rank(Path(out))
            return 0
        case ["measure"]:
            results |= {"measured": measure()}
            print(results["measured"]["constants"], results["measured"]["check"])
        case ["draw"]:
            results |= {"predicted": predict()}
            draw(results["predicted"], ROOT / "docs/scaling.svg")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    write_json(path, results)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
