"""Gauss-Newton products of one net by every method: checked first, then timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from asr_hf.curvature.precision import Precision, matrix_arithmetic
from asr_hf.runtime.errors import RunError
from asr_hf.runtime.progress import progress
from benchmarks.gemm import product_gemms, square_gemm
from benchmarks.memory import dtype_of, peak_bytes
from benchmarks.methods import PEERS, Method, Product, flat, jvp_vjp, methods_in
from benchmarks.nets import Net, Problem
from benchmarks.rounds import Rounds, Stopwatch, Task, interleave

_CHECKED_FRAMES = 16
_EXACT = 1e-10
_ROUNDING = {Precision.FP32: 1e-4, Precision.TF32: 2e-2, Precision.BF16: 1e-1}
_SETUPS = 3


@dataclass(frozen=True)
class Effort:
    """Bounds on the length of a measurement.

    Args:
        rounds: number of rounds that must count.
        max_rounds: maximum number of rounds.
        square: size of the square GEMM.
    """

    rounds: int
    max_rounds: int
    square: int


def differences(
    problem: Problem,
    precision: Precision,
    max_difference: float,
    methods: Mapping[str, Method] | None = None,
) -> dict[str, float]:
    """Compare each method's product with that of torch.func's jvp and vjp.

    The latter are in the precision of the problem, the others in `precision`.

    Args:
        problem: network and data of the products.
        precision: arithmetic of the products that are compared.
        max_difference: largest relative difference.
        methods: methods that are compared; None takes all that can compute in `precision`.

    Returns:
        The relative difference by method.

    Raises:
        RunError: a difference is above `max_difference`.
    """
    true = flat(jvp_vjp(problem, Precision.FP32)())
    relative = {}
    with matrix_arithmetic(precision):
        for name, method in (methods or methods_in(precision)).items():
            if name == "gradient":
                continue
            product = flat(method(problem, precision)())
            relative[name] = float((product - true).norm() / true.norm())
            if not relative[name] <= max_difference:
                raise RunError(
                    f"net {problem.net.name}: {name} ({precision}, {true.dtype}) is off by "
                    f"{relative[name]:.1e} of the product's norm",
                    expected=f"at most {max_difference:.0e} from jvp + vjp",
                )
    return relative


def bench_products(
    net: Net, device: torch.device, precision: Precision, effort: Effort
) -> dict[str, Any]:
    """Check every method on a net in one precision, and measure its time and memory.

    Returns:
        The figures, plain values.

    Raises:
        RunError: products differ, or no round counts.
    """
    record = time_products(net, device, precision, effort, methods_in(precision))
    for name in progress(list(record["methods"]), desc=f"memory, net {net.name}"):
        record["methods"][name]["peak_bytes"] = peak_bytes(net, name, precision, device)
    return record


def time_products(
    net: Net,
    device: torch.device,
    precision: Precision,
    effort: Effort,
    methods: Mapping[str, Method],
) -> dict[str, Any]:
    """Check some methods on a net in one precision, and measure their time.

    Args:
        net: net, with the frames of a product.
        device: device of all tensors.
        precision: arithmetic of the products.
        effort: length of the measurement.
        methods: methods by name, with those of asr-hf and the gradient.

    Returns:
        The figures, plain values.

    Raises:
        RunError: products differ, or no round counts.
    """
    few = Problem(replace(net, frames=_CHECKED_FRAMES), device, torch.float64)
    exact = differences(few, Precision.FP32, _EXACT, methods)
    all_frames = Problem(net, device, torch.float32)
    timed = differences(all_frames, precision, _ROUNDING[precision], methods)
    with matrix_arithmetic(precision):
        setups, products = _set_up(net, device, precision, methods)
        rounds = _time(net, device, precision, effort, products)
    del products
    record = summarise(net, rounds, 2 * effort.square**3)
    for name, method in record["methods"].items():
        method["setup_seconds"] = setups[name]
        if name in timed:
            method["difference"] = {"float64": exact[name], str(precision): timed[name]}
    return record


def _set_up(
    net: Net, device: torch.device, precision: Precision, methods: Mapping[str, Method]
) -> tuple[dict[str, float], dict[str, Product]]:
    """Set up each method; return the seconds of that, the least of three, and the products."""
    problems = {
        dtype: Problem(net, device, dtype)
        for dtype in {dtype_of(name, precision) for name in methods}
    }
    watch = Stopwatch(device)
    seconds: dict[str, float] = {}
    products: dict[str, Product] = {}
    for name, make in methods.items():
        problem = problems[dtype_of(name, precision)]

        def build(name: str = name, make: Any = make, problem: Problem = problem) -> None:
            products.pop(name, None)
            products[name] = make(problem, precision)

        seconds[name] = min(watch.seconds(name, build, repeat=False) for _ in range(_SETUPS))
    return seconds, products


def _time(
    net: Net,
    device: torch.device,
    precision: Precision,
    effort: Effort,
    products: dict[str, Product],
) -> Rounds:
    dtype = torch.bfloat16 if precision is Precision.BF16 else torch.float32
    reference = product_gemms(net, device, dtype)
    tasks: dict[str, Task] = {**products, "square": square_gemm(effort.square, device, dtype)}
    desc = f"net {net.name}, {precision}"
    return interleave(tasks, reference, device, effort.rounds, effort.max_rounds, desc)


def summarise(net: Net, rounds: Rounds, square_flops: int) -> dict[str, Any]:
    """Summarise a net's rounds: medians of ratios within a round.

    Args:
        net: net that was timed.
        rounds: rounds with the tasks "gradient", "square", and methods by name.
        square_flops: FLOPs of the task "square".

    Returns:
        The figures, plain values.
    """
    dnn = "r_operator"
    names = sorted(name for name in rounds.all[0].seconds if name != "square")
    return {
        "layers": net.layout,
        "frames": net.frames,
        "parameters": net.parameters,
        "flop_bound": net.product_flops / net.gradient_flops,
        "ratio_to_gradient": rounds.ratio(dnn, "gradient").median,
        "gemm_fraction": rounds.gemm_share(dnn).median,
        "square_gemm_fraction": (net.product_flops / square_flops)
        * rounds.ratio("square", dnn).median,
        "speedup_over": {n: rounds.ratio(n, dnn).median for n in names if n in PEERS},
        "generic_over_dnn": rounds.ratio("double_backward", dnn).median,
        "gemm_flops_per_second": net.product_flops / rounds.gemm_seconds().median,
        "square_gemm_flops_per_second": square_flops / rounds.seconds("square").median,
        "rounds": rounds.counts(),
        "methods": {name: _of_method(net, rounds, name) for name in names},
        "raw_seconds": [
            {"valid": r in rounds.valid, "gemm": list(r.reference), **r.seconds} for r in rounds.all
        ],
    }


def _of_method(net: Net, rounds: Rounds, name: str) -> dict[str, Any]:
    # A method's fraction counts the GEMMs that are needed, not those that the method does.
    work = net.gradient_flops / net.product_flops if name == "gradient" else 1.0
    return {
        "seconds": asdict(rounds.seconds(name)),
        "ratio_to_gradient": asdict(rounds.ratio(name, "gradient")),
        "gemm_fraction": asdict(rounds.gemm_share(name, work)),
    }
