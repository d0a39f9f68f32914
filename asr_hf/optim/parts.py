"""The parts of the optimisers by their names, as `conf/` has them too."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from asr_hf.hf.acceptance import Acceptance, Backtracking, PairedTest
from asr_hf.hf.annealing import Annealing, Constant, Cosine, Linear
from asr_hf.hf.damping import Damping, LevenbergMarquardt
from asr_hf.hf.preconditioners.base import Preconditioner
from asr_hf.hf.preconditioners.diagonal import DiagonalPreconditioner
from asr_hf.hf.preconditioners.identity import IdentityPreconditioner
from asr_hf.hf.preconditioners.kfac import KFACPreconditioner
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.hf.preconditioners.shampoo import ShampooPreconditioner
from asr_hf.hf.sampling.base import SamplingSchedule
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.sampling.geometric import GeometricSampling
from asr_hf.hf.sampling.variance import VarianceSampling
from asr_hf.hf.self_starting import SelfStarting
from asr_hf.hf.solvers.base import Solver
from asr_hf.hf.solvers.cg import ConjugateGradient
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.runtime.errors import InputError

PartT = TypeVar("PartT")

PRECONDITIONERS: Mapping[str, Callable[[], Preconditioner]] = {
    "identity": IdentityPreconditioner,
    "diagonal": DiagonalPreconditioner,
    "lbfgs": LBFGSPreconditioner,
    "kfac": KFACPreconditioner,
    "kfac_lbfgs": lambda: LBFGSPreconditioner(initial=KFACPreconditioner()),
    "shampoo": ShampooPreconditioner,
}
SOLVERS: Mapping[str, Callable[[], Solver]] = {
    "cg": ConjugateGradient,
    "flexible_cg": FlexibleConjugateGradient,
}
ACCEPTANCES: Mapping[str, Callable[[], Acceptance]] = {
    "backtracking": Backtracking,
    "paired_test": PairedTest,
}
ANNEALINGS: Mapping[str, Callable[[], Annealing]] = {
    "linear": Linear,
    "cosine": Cosine,
    "none": Constant,
    "self_starting": SelfStarting,
}
# Numbers of examples below which a first sample says little of a network.
_LEAST_GRADIENT, _LEAST_CURVATURE = 1000, 250


def samplings(examples: int) -> Mapping[str, Callable[[], SamplingSchedule]]:
    """Return the sampling schedules by name, with sizes that suit so many examples."""
    gradient = _at_least(0.05, _LEAST_GRADIENT, examples)
    curvature = _at_least(0.01, _LEAST_CURVATURE, examples)
    most = max(curvature, _at_least(0.05, _LEAST_GRADIENT, examples))
    return {
        "fixed": lambda: FixedSampling(curvature=most),
        "geometric": lambda: GeometricSampling(
            gradient=gradient, curvature=curvature, curvature_most=most
        ),
        "variance": lambda: VarianceSampling(gradient=gradient, curvature_most=most),
    }


def _at_least(share: float, count: int, examples: int) -> float:
    """Return a share of the examples, larger where it would be fewer than `count` of them."""
    return min(1.0, max(share, count / max(1, examples)))


def damping_of(value: float | Damping) -> Damping:
    """Return the rule of λ that starts at a number, or a rule itself."""
    if not isinstance(value, float | int):
        return value
    if not value > 0:
        raise InputError(f"damping={value}", expected="a number above 0")
    return LevenbergMarquardt(value, floor=min(1e-5, value), ceiling=max(1e4, value))


def chosen(key: str, value: str | PartT, named: Mapping[str, Callable[[], PartT]]) -> PartT:
    """Return the part of that name, or the part itself.

    Args:
        key: name of the argument, for messages.
        value: name of the part, or the part.
        named: what makes parts, by their names.

    Raises:
        InputError: there is no part of that name.
    """
    if not isinstance(value, str):
        return value
    if value not in named:
        near = difflib.get_close_matches(value, named, n=1)
        raise InputError(
            f"{key}={value!r}",
            expected=f"one of {', '.join(named)}, or an object of one of the classes",
            remedy=f"did you mean {near[0]!r}?" if near else "",
        )
    return named[value]()


def options() -> dict[str, set[str]]:
    """Return the names of the parts of each kind."""
    tables: dict[str, Mapping[str, Any]] = {
        "preconditioner": PRECONDITIONERS,
        "solver": SOLVERS,
        "acceptance": ACCEPTANCES,
        "annealing": ANNEALINGS,
        "sampling": samplings(1),
    }
    return {kind: set(table) for kind, table in tables.items()}
