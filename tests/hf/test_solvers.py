from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.sparse.linalg
import torch

from asr_hf.curvature.precision import Precision
from asr_hf.hf.preconditioners.identity import IdentityPreconditioner
from asr_hf.hf.solvers.base import StopReason
from asr_hf.hf.solvers.cg import ConjugateGradient
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.hf.solvers.stopping import (
    FixedSteps,
    ForcingTerm,
    RelativeProgress,
    stored_iterations,
)

from .options import classes

N = 40
NEVER = RelativeProgress(tolerance=0.0)


class Dense:
    precision = Precision.FP32

    def __init__(self, matrix, damping=0.0):
        self.matrix, self.damping, self.products = matrix, damping, 0

    def curvature_product(self, v, out=None):
        self.products += 1
        return torch.mv(self.matrix, v, out=out)

    def exact_product(self, v, out=None):
        return torch.mv(self.matrix, v, out=out)


class Fixed(IdentityPreconditioner):
    def __init__(self, inverse):
        self.inverse = inverse

    def apply(self, r, out=None):
        return self.inverse @ r


class Varying(IdentityPreconditioner):
    """Another positive definite diagonal at every call."""

    def __init__(self):
        self.rng = torch.Generator().manual_seed(3)

    def apply(self, r, out=None):
        return r * (0.5 + torch.rand(r.shape, generator=self.rng, dtype=r.dtype))


def spd(seed=0, spread=3.0):
    g = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(N, N, generator=g, dtype=torch.float64))
    return q @ torch.diag(torch.logspace(-spread, 0, N, dtype=torch.float64)) @ q.T


@pytest.fixture
def b():
    return torch.randn(N, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@pytest.mark.parametrize("kind", classes("solver"))
@pytest.mark.parametrize("damping", [0.0, 0.1])
def test_solution_equals_direct_solve(kind, damping, b):
    a = spd()
    result = kind(max_iterations=400, stopping=NEVER, residual_tolerance=1e-13).solve(
        Dense(a, damping), b, torch.zeros_like(b), IdentityPreconditioner()
    )
    exact = torch.linalg.solve(a + damping * torch.eye(N, dtype=torch.float64), b)
    torch.testing.assert_close(result.iterates[-1].d, exact, rtol=1e-8, atol=1e-8)
    assert result.reason is StopReason.RESIDUAL


@pytest.mark.parametrize("kind", classes("solver"))
def test_every_iterate_equals_scipy(kind, b):
    a, inverse = spd(), spd(seed=1, spread=1.0)
    peers = []
    scipy.sparse.linalg.cg(
        a.numpy(),
        b.numpy(),
        M=inverse.numpy(),
        maxiter=12,
        rtol=0.0,
        callback=lambda x: peers.append(x.copy()),
    )
    result = kind(max_iterations=12, stopping=NEVER, store_ratio=1.01).solve(
        Dense(a), b, torch.zeros_like(b), Fixed(inverse)
    )
    assert [i.iteration for i in result.iterates] == list(range(1, 13))
    for mine, peer in zip(result.iterates, peers, strict=True):
        np.testing.assert_allclose(mine.d.numpy(), peer, rtol=1e-8, atol=1e-10)


def test_values_are_those_of_the_quadratic(b):
    a = spd()
    start = torch.full_like(b, 0.1)
    result = ConjugateGradient(max_iterations=15, stopping=NEVER, store_ratio=1.01).solve(
        Dense(a, 0.05), b, start, IdentityPreconditioner()
    )
    damped = a + 0.05 * torch.eye(N, dtype=torch.float64)

    def q(d):
        return float(0.5 * d @ damped @ d - b @ d)

    assert result.values[0] == pytest.approx(q(start), rel=1e-12)
    for iterate in result.iterates:
        assert iterate.value == pytest.approx(q(iterate.d), rel=1e-9)


def test_flexible_beats_fixed_when_the_preconditioner_varies(b):
    a = spd()
    exact = torch.linalg.solve(a, b)

    def error(kind):
        run = kind(max_iterations=60, stopping=NEVER).solve(
            Dense(a), b, torch.zeros_like(b), Varying()
        )
        e = run.iterates[-1].d - exact
        return float(e @ a @ e)

    assert error(FlexibleConjugateGradient) < 0.5 * error(ConjugateGradient)


def test_martens_rule_keeps_the_factor_k():
    rule = RelativeProgress(tolerance=5e-4, window=10, window_fraction=0.1)
    # Relative progress over the last 10 steps of 0.4 %: below 10 ε = 0.5 %, above ε.
    values = [0.0] + [-1.0 + 0.0004 * (10 - j) for j in range(11)]
    assert rule.reached(values)
    assert not rule.reached(values[:8])
    assert not rule.reached([-v for v in values])


@pytest.mark.parametrize("solver", classes("solver"))
def test_a_fixed_number_of_steps_is_taken(solver, b):
    run = solver(stopping=FixedSteps(7)).solve(
        Dense(spd()), b, torch.zeros_like(b), IdentityPreconditioner()
    )
    assert (run.iterations, run.reason) == (7, StopReason.STEPS)


@pytest.mark.parametrize("scale", [1e-6, 1e-2, 100.0])
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_the_forcing_term_is_met_and_no_more(b, scale, power):
    matrix, b = spd(), scale * b / b.norm()
    rule = ForcingTerm(most=0.5, power=power)
    run = ConjugateGradient(stopping=rule, store_ratio=1.01).solve(
        Dense(spd()), b, torch.zeros_like(b), IdentityPreconditioner()
    )
    assert run.reason is StopReason.RESIDUAL
    allowed = min(0.5, scale**power)
    relative = [float((b - matrix @ it.d).norm() / b.norm()) for it in run.iterates]
    assert relative[-1] <= allowed * 1.001
    assert all(r > allowed * 0.999 for r in relative[:-1])


def test_forcing_terms_make_newton_converge_superlinearly():
    """On f(x) = Σ log cosh of a random linear map: the gradient's order of convergence."""
    g = torch.Generator().manual_seed(0)
    m = torch.randn(30, 10, generator=g, dtype=torch.float64)
    shift = 0.3 * torch.randn(30, generator=g, dtype=torch.float64)
    x = torch.zeros(10, dtype=torch.float64)
    norms = []
    for _ in range(12):
        t = torch.tanh(m @ x - shift)
        gradient, hessian = m.T @ t, m.T @ torch.diag(1 - t**2) @ m
        norms.append(float(gradient.norm()))
        if norms[-1] < 1e-11:
            break
        solver = ConjugateGradient(stopping=ForcingTerm(), residual_tolerance=0.0)
        run = solver.solve(Dense(hessian), -gradient, torch.zeros_like(x), IdentityPreconditioner())
        x = x + run.iterates[-1].d
    ratios = [after / before for before, after in itertools.pairwise(norms)]
    assert norms[-1] < 1e-8
    assert ratios[-1] < 0.05 * ratios[0]


@pytest.mark.parametrize(
    "make", [lambda: FixedSteps(0), lambda: ForcingTerm(most=1.0), lambda: ForcingTerm(power=0.0)]
)
def test_rules_refuse_what_cannot_be(make):
    with pytest.raises(ValueError, match="stopping"):
        make()


def test_stored_iterations_grow_geometrically():
    expected = {math.ceil(1.3**j) for j in range(100) if math.ceil(1.3**j) <= 250}
    assert stored_iterations(1.3, 250) == expected


def test_indefinite_matrix_stops_with_its_reason(b):
    a = spd() - 0.1 * torch.eye(N, dtype=torch.float64)
    result = ConjugateGradient(stopping=NEVER).solve(
        Dense(a), b, torch.zeros_like(b), IdentityPreconditioner()
    )
    assert result.reason is StopReason.NON_POSITIVE_CURVATURE
    assert torch.isfinite(result.iterates[-1].d).all()


def test_non_finite_product_stops_with_its_reason(b):
    result = ConjugateGradient().solve(
        Dense(spd() * math.nan), b, torch.zeros_like(b), IdentityPreconditioner()
    )
    assert result.reason is StopReason.NON_FINITE
    assert not result.iterates[-1].d.any()


def test_indefinite_preconditioner_stops_with_its_reason(b):
    result = ConjugateGradient().solve(
        Dense(spd()), b, torch.zeros_like(b), Fixed(-torch.eye(N, dtype=torch.float64))
    )
    assert result.reason is StopReason.NON_POSITIVE_PRECONDITIONER


def test_true_residual_shows_drift_of_a_changing_operator(b):
    class Noisy(Dense):
        def curvature_product(self, v, out=None):
            return super().curvature_product(v, out).mul_(1 + 0.01 * (self.products % 2))

    run = ConjugateGradient(max_iterations=20, stopping=NEVER, recompute_every=10)
    zeros = torch.zeros_like(b)
    noisy = run.solve(Noisy(spd()), b, zeros, IdentityPreconditioner())
    exact = run.solve(Dense(spd()), b, zeros, IdentityPreconditioner())
    assert exact.drift is not None and exact.drift < 1e-10
    assert noisy.drift is not None and noisy.drift > 1e-4


def test_products_are_one_an_iteration(b):
    operator = Dense(spd())
    result = ConjugateGradient(max_iterations=9, stopping=NEVER).solve(
        operator, b, torch.zeros_like(b), IdentityPreconditioner()
    )
    assert operator.products == result.iterations == 9
