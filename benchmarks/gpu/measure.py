"""Measure one net on one device, in a process of its own.

usage: python -m benchmarks.gpu.measure products|graphs|iteration A|B full|quick DEVICE FILE

The figures are written to FILE after each precision, so that a run that is cut leaves some.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.curvature.chunks import ChunkMaker, CurvaturePath
from asr_hf.curvature.cuda_graph import Recorder, record_on_gpu
from asr_hf.curvature.gauss_newton import SampleCurvature
from asr_hf.curvature.precision import Precision, matrix_arithmetic
from asr_hf.runtime.files import write_json
from benchmarks.gemm import product_gemms
from benchmarks.iteration import Work
from benchmarks.iteration import compare as compare_iteration
from benchmarks.memory import measure as peak_bytes
from benchmarks.methods import METHODS
from benchmarks.nets import NETS, QUICK_NETS, Net, Problem
from benchmarks.products import Effort, time_products
from benchmarks.rounds import interleave

PRECISIONS = (Precision.TF32, Precision.BF16)
# asr-hf's paths beside what torch itself offers; peers are compared by make bench.
_METHODS = ("gradient", "r_operator", "double_backward", "jvp_vjp")
_IN_BF16 = _METHODS[:3]
_ROOMY = 80 << 30


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Args:
        nets: nets to choose from.
        frames: number of frames of a product.
        recorded: numbers of frames of the products that are also recorded and replayed.
        effort: length of a measurement of products.
        work: size of an iteration.
    """

    nets: tuple[Net, ...]
    frames: int
    recorded: tuple[int, ...]
    effort: Effort
    work: Work


FULL = Size(
    NETS,
    65_536,
    (512, 4_096, 32_768),
    Effort(7, 14, 8192),
    Work(131_072, 65_536, 16_384, 10, 3),
)
# A busy machine's rounds are short and mostly void.
QUICK = Size(QUICK_NETS, 64, (32,), Effort(1, 60, 64), Work(256, 128, 64, 2, 1, spare=60))


def products(net: Net, size: Size, device: torch.device, precision: Precision) -> dict[str, Any]:
    """Time gradients and products of a whole chunk, and measure their memory on a GPU."""
    names = _IN_BF16 if precision is Precision.BF16 else _METHODS
    net = replace(net, frames=_frames(size.frames, device))
    methods = {name: METHODS[name] for name in names}
    record = time_products(net, device, precision, size.effort, methods)
    if device.type == "cuda":
        with matrix_arithmetic(precision):
            for name, method in record["methods"].items():
                method["peak_bytes"] = peak_bytes(net, name, precision, device)
    return record


def _frames(most: int, device: torch.device) -> int:
    """Return the number of frames whose activations a device has room for."""
    if device.type != "cuda":
        return most
    roomy = torch.cuda.get_device_properties(device).total_memory >= _ROOMY
    return most if roomy else most // 4


def graphs(net: Net, size: Size, device: torch.device, precision: Precision) -> dict[str, Any]:
    """Time products that are launched one kernel after another, and replayed from a CUDA graph."""
    return {
        str(frames): _recorded(replace(net, frames=frames), size, device, precision)
        for frames in size.recorded
    }


def _recorded(net: Net, size: Size, device: torch.device, precision: Precision) -> dict[str, Any]:
    problem = Problem(net, device, torch.float32)
    recorder = record_on_gpu if device.type == "cuda" else _as_it_is
    launched, replayed = (_product(problem, precision, r) for r in (None, recorder))
    first, second = launched(), replayed()
    difference = float((first - second).norm() / first.norm())
    with matrix_arithmetic(precision):
        gemms = product_gemms(net, device, torch.float32)
        rounds = interleave(
            {"launched": launched, "replayed": replayed},
            gemms,
            device,
            size.effort.rounds,
            size.effort.max_rounds,
            f"net {net.name}, {net.frames} frames, {precision}",
        )
    return {
        "launched_seconds": asdict(rounds.seconds("launched")),
        "replayed_seconds": asdict(rounds.seconds("replayed")),
        "launched_over_replayed": asdict(rounds.ratio("launched", "replayed")),
        "difference": difference,
    }


def _as_it_is(work: Callable[[], None]) -> Callable[[], None]:
    """Record nothing: a CPU has no graphs."""
    return work


def _product(
    problem: Problem, precision: Precision, record: Recorder | None
) -> Callable[[], Tensor]:
    make = ChunkMaker(problem.model, CurvaturePath.R_OPERATOR)
    curvature = SampleCurvature(
        lambda _, chosen: make(problem.inputs, CrossEntropy().curvature, chosen),
        1,
        problem.net.frames,
        lambda _: None,
        precision,
        record=record,
    )
    out = torch.empty_like(problem.vector)
    return lambda: curvature.product(problem.vector, out)


def iteration(net: Net, size: Size, device: torch.device, precision: Precision) -> dict[str, Any]:
    """Time whole iterations of HF by their phases."""
    return compare_iteration(net, device, size.work, precision)


_KINDS = {"products": products, "graphs": graphs, "iteration": iteration}


def main(given: list[str]) -> None:
    """Measure what the command line names, in every precision."""
    kind, name, chosen, where, file = given
    size = {"full": FULL, "quick": QUICK}[chosen]
    (net,) = (net for net in size.nets if net.name == name)
    figures: dict[str, Any] = {}
    for precision in PRECISIONS:
        figures[str(precision)] = _KINDS[kind](net, size, torch.device(where), precision)
        write_json(Path(file), figures)


if __name__ == "__main__":
    main(sys.argv[1:])
