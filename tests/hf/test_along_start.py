from __future__ import annotations

import pytest
import torch

from asr_hf.curvature.precision import Precision
from asr_hf.hf.solvers.cg import ConjugateGradient
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient


class Matrix:
    """A = G + λI."""

    damping, precision = 0.1, Precision.FP32

    def __init__(self, g):
        self.g = g

    def curvature_product(self, vector, out=None):
        product = self.g @ vector
        return product if out is None else out.copy_(product)

    exact_product = curvature_product

    def raise_precision(self):
        raise AssertionError("nothing to raise")


class Nothing:
    def apply(self, residual, out=None):
        return residual.clone() if out is None else out.copy_(residual)

    def observe(self, direction, product):
        pass


@pytest.fixture
def problem():
    random = torch.Generator().manual_seed(5)
    root = torch.randn(20, 20, dtype=torch.float64, generator=random)
    b, d0 = torch.randn(2, 20, dtype=torch.float64, generator=random)
    return root @ root.T, b, d0


def value(g, b, d):
    return float(0.5 * d @ (g @ d + Matrix.damping * d) - b @ d)


def solve(problem, d0, steps):
    g, b, _ = problem
    method = FlexibleConjugateGradient(max_iterations=steps, along_start=True, store_ratio=1.01)
    return method.solve(Matrix(g), b, d0, Nothing())


def along(problem, sign):
    """d0 for which the minimum of q along it lies a third of the way, before or behind."""
    g, b, d0 = problem
    a = g + Matrix.damping * torch.eye(20, dtype=torch.float64)
    return sign * 3 * d0 * (b @ d0) / (d0 @ a @ d0)


def test_one_step_reaches_the_minimum_over_the_start_and_the_gradient(problem):
    g, b, _ = problem
    d0 = along(problem, 1)
    a = g + Matrix.damping * torch.eye(20, dtype=torch.float64)
    plane = torch.stack([d0, b - a @ (d0 / 3)], 1)
    expected = plane @ torch.linalg.solve(plane.T @ a @ plane, plane.T @ b)
    run = solve(problem, d0, 1)
    torch.testing.assert_close(run.iterates[-1].d, expected, rtol=1e-10, atol=1e-12)
    assert run.values[0] == pytest.approx(value(g, b, d0 / 3), rel=1e-10)
    assert run.values[-1] == pytest.approx(value(g, b, expected), rel=1e-10)


def test_it_does_not_step_back_nor_further_than_the_start(problem):
    g, b, _ = problem
    backward, far = along(problem, -1), along(problem, 1) / 6
    assert solve(problem, backward, 1).values[0] == 0.0
    assert solve(problem, far, 1).values[0] == pytest.approx(value(g, b, far), rel=1e-10)


@pytest.mark.parametrize("sign", [-1, 1])
def test_it_goes_on_to_the_solution(problem, sign):
    g, b, _ = problem
    a = g + Matrix.damping * torch.eye(20, dtype=torch.float64)
    run = solve(problem, along(problem, sign), 60)
    expected = torch.linalg.solve(a, b)
    assert value(g, b, run.iterates[-1].d) == pytest.approx(value(g, b, expected), rel=1e-3)


def test_plain_cg_does_not_know_it():
    with pytest.raises(TypeError, match="along_start"):
        ConjugateGradient(along_start=True)
