"""Measure speed and write a report: `make bench`, or python -m benchmarks.run [options]."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from asr_hf.curvature.precision import Precision
from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_json, write_text
from asr_hf.runtime.logs import configure_logging
from benchmarks.chart import draw
from benchmarks.gemm import square_gemm
from benchmarks.iteration import Work
from benchmarks.iteration import compare as compare_iteration
from benchmarks.lbfgs import compare as compare_lbfgs
from benchmarks.machine import describe
from benchmarks.nets import NETS, QUICK_NETS, Net
from benchmarks.products import Effort, bench_products
from benchmarks.report import NO_GPU, document, tables

log = logging.getLogger("asr_hf.benchmarks")

ROOT = Path(__file__).resolve().parents[1]
_GPU_FRAMES = 65_536


@dataclass(frozen=True)
class Plan:
    """Measurements of one net.

    Args:
        net: net, with the frames of a product.
        effort: length of the measurement of products.
        pairs: number of pairs m of L-BFGS; 64 of the larger net would fill the memory.
        work: size of an iteration.
    """

    net: Net
    effort: Effort
    pairs: int
    work: Work


CPU_PLANS = (
    Plan(NETS[0], Effort(7, 14, 2048), 64, Work(32_768, 8_192, 4_096, 10, 2)),
    Plan(NETS[1], Effort(5, 10, 2048), 8, Work(32_768, 16_384, 4_096, 5, 1)),
)
QUICK_PLANS = (
    Plan(QUICK_NETS[0], Effort(3, 30, 256), 64, Work(4_096, 1_024, 512, 5, 2)),
    Plan(QUICK_NETS[1], Effort(3, 30, 256), 8, Work(4_096, 1_024, 512, 5, 2)),
)
GPU_PLANS = tuple(
    Plan(
        replace(plan.net, frames=_GPU_FRAMES),
        Effort(9, 18, 8192),
        plan.pairs,
        Work(4 * _GPU_FRAMES, _GPU_FRAMES, _GPU_FRAMES // 4, 10, 3),
    )
    for plan in CPU_PLANS
)


def measure_cpu(plans: tuple[Plan, ...]) -> dict[str, Any]:
    """Measure every net in float32 on the CPU."""
    device, nets = torch.device("cpu"), {}
    for plan in plans:
        log.info("net %s on the CPU: products", plan.net.name)
        record = bench_products(plan.net, device, Precision.FP32, plan.effort)
        log.info("net %s on the CPU: L-BFGS and whole iterations", plan.net.name)
        nets[plan.net.name] = record | _vectors(plan, device)
    return {"machine": describe(device), "nets": nets}


def _vectors(plan: Plan, device: torch.device) -> dict[str, Any]:
    reference = square_gemm(plan.effort.square, device, torch.float32)
    size, rounds = plan.net.parameters, plan.effort.rounds
    lbfgs = compare_lbfgs(size, plan.pairs, device, reference, rounds)
    iteration = compare_iteration(plan.net, device, plan.work)
    return {
        "lbfgs_compact_speedup": lbfgs["speedup"]["median"],
        "overhead_fraction": iteration["overhead"]["median"],
        "lbfgs": lbfgs,
        "iteration": iteration,
    }


def measure_gpu(plans: tuple[Plan, ...]) -> dict[str, Any]:
    """Measure every net in every precision on the GPU."""
    device = torch.device("cuda")
    nets: dict[str, dict[str, Any]] = {}
    for plan in plans:
        nets[plan.net.name] = {}
        for precision in Precision:
            log.info("net %s on the GPU, %s", plan.net.name, precision)
            record = bench_products(plan.net, device, precision, plan.effort)
            record["iteration"] = compare_iteration(plan.net, device, plan.work, precision)
            nets[plan.net.name][str(precision)] = record
    return {"machine": describe(device), "nets": nets}


def measure(options: argparse.Namespace, known: dict[str, Any]) -> dict[str, Any]:
    """Measure the parts that `options.only` names, and keep the other results.

    Returns:
        All results.

    Raises:
        InputError: GPU figures are to be measured, and there is no GPU.
    """
    results = {"gpu": NO_GPU} | known
    if options.only == "gpu" and not torch.cuda.is_available():
        raise InputError("--only gpu: torch finds no GPU here", remedy="use --only cpu")
    if options.only != "gpu":
        measured = measure_cpu(_chosen(QUICK_PLANS if options.quick else CPU_PLANS, options))
        results |= measured | {"nets": results.get("nets", {}) | measured["nets"]}
    if options.only != "cpu" and torch.cuda.is_available():
        results["gpu"] = measure_gpu(_chosen(QUICK_PLANS if options.quick else GPU_PLANS, options))
    return results


def _chosen(plans: tuple[Plan, ...], options: argparse.Namespace) -> tuple[Plan, ...]:
    plans = tuple(plan for plan in plans if options.net in (None, plan.net.name))
    if options.rounds is None:
        return plans
    return tuple(
        replace(
            plan,
            effort=replace(plan.effort, rounds=options.rounds, max_rounds=2 * options.rounds),
            work=replace(plan.work, rounds=min(plan.work.rounds, options.rounds)),
        )
        for plan in plans
    )


def save(results: dict[str, Any], folder: Path, page: Path | None) -> None:
    """Write JSON, tables and picture into `folder`, and the page of the documentation."""
    write_json(folder / "curvature.json", results)
    write_text(folder / "curvature.md", tables(results))
    draw(results, folder / "curvature.svg")
    if page is not None:
        write_text(page, document(results))


def parse(given: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small nets, into build/bench")
    parser.add_argument("--only", choices=("cpu", "gpu"), help="leave the other's results alone")
    parser.add_argument("--net", choices=("A", "B"), help="leave the other's results alone")
    parser.add_argument("--rounds", type=int, help="rounds that must count")
    parser.add_argument("--threads", type=int, help="CPU threads; torch's choice by default")
    options = parser.parse_args(given)
    for name in ("rounds", "threads"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name}: needs 1 or more")
    return options


@with_exit_code
def main(given: list[str]) -> None:
    """Measure, write, and show the tables."""
    options = parse(given)
    configure_logging(debug=False)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    folder = ROOT / ("build/bench" if options.quick else "benchmarks/results")
    path = folder / "curvature.json"
    results = measure(options, read_json(path) if path.exists() else {})
    save(results, folder, None if options.quick else ROOT / "docs/speed.md")
    print(tables(results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
