"""Times the compact form of the L-BFGS preconditioner and the two-loop recursion."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

import torch
from torch import Tensor

from asr_hf.curvature.statistic import CurvatureStatistics
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.runtime.errors import RunError
from benchmarks.rounds import Task, interleave
from benchmarks.two_loop import TwoLoop

_CHECKED_SIZE = 4000
_CHECKED_DAMPING = 0.03
_EXACT = 1e-10


def make_pairs(count: int, size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Make S above G S [2 count, size] for a diagonal G with entries between 1e-3 and 1.

    Steps are unit vectors, each correlated with the one before, as CG's directions are.

    Returns:
        The pairs.
    """
    random = torch.Generator(device).manual_seed(3)
    pairs = torch.empty(2 * count, size, device=device, dtype=dtype)
    exponents = torch.rand(size, generator=random, device=device, dtype=dtype).mul_(-3.0)
    diagonal = torch.pow(10.0, exponents)
    for row in range(count):
        step = pairs[row].normal_(generator=random)
        if row:
            step.mul_(size**-0.5).add_(pairs[row - 1], alpha=0.5)
        step.div_(step.norm())
        torch.mul(step, diagonal, out=pairs[count + row])
    return pairs


def difference(count: int, device: torch.device) -> float:
    """Compare the results of both forms, in float64 and with damping.

    Returns:
        Their relative difference.

    Raises:
        RunError: the difference is above 1e-10.
    """
    pairs = make_pairs(count, _CHECKED_SIZE, device, torch.float64)
    compact = _compact(pairs, _CHECKED_DAMPING)
    steps, changes = pairs[:count], pairs[count:] + _CHECKED_DAMPING * pairs[:count]
    residual = torch.ones_like(pairs[0])
    expected = TwoLoop(list(steps), list(changes)).apply(residual, torch.empty_like(residual))
    relative = float((compact.apply(residual) - expected).norm() / expected.norm())
    if not relative <= _EXACT:
        raise RunError(
            f"L-BFGS: compact form and two-loop recursion differ by {relative:.1e} in float64",
            expected=f"at most {_EXACT:.0e}",
        )
    return relative


def _compact(pairs: Tensor, damping: float) -> LBFGSPreconditioner:
    preconditioner = LBFGSPreconditioner(len(pairs) // 2)
    preconditioner.load_state_dict({"tensors": {"pairs": pairs}, "values": {}})
    # Without an initial matrix it needs no statistics.
    preconditioner.prepare(damping, cast(CurvatureStatistics, None))
    return preconditioner


def compare(
    size: int, count: int, device: torch.device, reference: Task, rounds: int
) -> dict[str, Any]:
    """Time both forms.

    Args:
        size: number of parameters n.
        count: number of pairs m.
        device: device of the pairs.
        reference: GEMMs that decide whether a round counts.
        rounds: number of rounds that must count.

    Returns:
        The figures, plain values.
    """
    agreement = difference(count, device)
    pairs = make_pairs(count, size, device, torch.float32)
    compact, two_loop = _compact(pairs, 0.0), TwoLoop(list(pairs[:count]), list(pairs[count:]))
    residual = torch.randn(size, device=device)
    out = torch.empty_like(residual)
    tasks: dict[str, Task] = {
        "compact": lambda: compact.apply(residual, out=out),
        "two_loop": lambda: two_loop.apply(residual, out),
    }
    timed = interleave(tasks, reference, device, rounds, 2 * rounds, f"L-BFGS, {count} pairs")
    return {
        "parameters": size,
        "pairs": count,
        "difference_float64": agreement,
        "speedup": asdict(timed.ratio("two_loop", "compact")),
        "seconds": {name: asdict(timed.seconds(name)) for name in tasks},
        "rounds": timed.counts(),
    }
