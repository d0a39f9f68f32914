"""Inside CG's loop nothing of the parameters' size is allocated."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from asr_hf.curvature.gauss_newton import SampleCurvature
from asr_hf.curvature.kronecker import KroneckerFactor
from asr_hf.curvature.r_operator import Activation, MLPCurvature
from asr_hf.curvature.space import UNSHARDED
from asr_hf.curvature.unit_moments import Moments, UnitMoments
from asr_hf.hf.damping import DampedOperator
from asr_hf.hf.fisher_pull import FisherQuadratic
from asr_hf.hf.penalty import PenalisedCurvature
from asr_hf.hf.solvers.stopping import RelativeProgress

from .options import classes, make, options

SIZES = [(300, 200), (100, 300)]
N = sum(o * i + o for o, i in SIZES)


class LargestNew(TorchDispatchMode):
    """Remembers the most bytes that one operation asked the allocator for."""

    def __init__(self):
        super().__init__()
        self.bytes, self.operation = 0, None

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        known = {
            t.untyped_storage().data_ptr()
            for t in [*args, *kwargs.values()]
            if isinstance(t, torch.Tensor)
        }
        result = func(*args, **kwargs)
        for t in result if isinstance(result, tuple | list) else (result,):
            if isinstance(t, torch.Tensor) and t.untyped_storage().data_ptr() not in known:
                size = t.untyped_storage().nbytes()
                # A view has its base's whole storage: only what an operation fills itself counts.
                if size > self.bytes and not t._is_view():
                    self.bytes, self.operation = size, str(func)
        return result


class Statistics:
    """Ready-made statistics of the two layers."""

    layers, seed, decay, fisher = (), 0, 0.0, ()
    gradient, space = torch.zeros(N), UNSHARDED

    def accumulate(self, statistic):
        if isinstance(statistic, UnitMoments):
            return Moments(torch.rand(N, generator=torch.Generator().manual_seed(0)), 0.0)
        return [
            KroneckerFactor(start, torch.eye(i + 1), torch.eye(o))
            for start, (o, i) in zip((0, 300 * 201), SIZES, strict=True)
        ]


def curvature():
    g = torch.Generator().manual_seed(0)
    weights = [torch.randn(o, i, generator=g) / i**0.5 for o, i in SIZES]
    inputs = torch.randn(16, 200, generator=g)

    def identity(logits):
        return lambda u, out=None: u

    chunk = MLPCurvature(
        weights, [torch.zeros(o) for o, _ in SIZES], Activation.TANH, inputs, identity
    )
    return SampleCurvature(lambda place, precision: chunk, 1, 16, lambda frames: None)


@pytest.mark.parametrize("kind", classes("solver"))
@pytest.mark.parametrize("name", options("preconditioner"))
def test_a_second_run_allocates_no_vector(kind, name, monkeypatch):
    monkeypatch.setattr("asr_hf.curvature.vectors._BLOCK", 1 << 12)
    solver = kind(max_iterations=12, stopping=RelativeProgress(tolerance=0.0), recompute_every=5)
    preconditioner = make("preconditioner", name)
    b = torch.randn(N, generator=torch.Generator().manual_seed(1))
    operator, start = DampedOperator(curvature(), 0.1), torch.ones(N)
    for _ in range(3):
        preconditioner.prepare(0.1, Statistics())
        preconditioner.apply(b, out=torch.empty_like(b))
        with LargestNew() as largest:
            solver.solve(operator, b, start, preconditioner)
        preconditioner.finish()
    # Not even a layer's weights, let alone all of θ.
    assert largest.bytes < 4 * 300 * 100, largest.operation


@pytest.mark.parametrize("diagonal", [False, True])
def test_products_of_a_pull_s_fisher_matrix_allocate_no_vector(diagonal):
    factors = Statistics().accumulate(None)
    if diagonal:
        factors[-1] = replace(factors[-1], outputs=torch.ones(SIZES[-1][0]))
    pull = FisherQuadratic(factors, torch.zeros(N))
    operator = DampedOperator(PenalisedCurvature(curvature(), [pull]), 0.1)
    v, out = torch.ones(N), torch.empty(N)
    operator.curvature_product(v, out)
    with LargestNew() as largest:
        operator.curvature_product(v, out)
    assert largest.bytes < 4 * 300 * 100, largest.operation
