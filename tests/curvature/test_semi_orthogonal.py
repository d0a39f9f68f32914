"""The term that keeps matrices semi-orthogonal, against autograd and dense matrices in float64."""

from __future__ import annotations

import pytest
import torch

from asr_hf.curvature.affine import AffineLayer
from asr_hf.curvature.semi_orthogonal import SemiOrthogonal

RHO, N = 0.3, 40
# Two matrices, of which the second has a bias, with other parameters around them.
LAYERS = (AffineLayer(3, 5, 3, bias=False), AffineLayer(20, 4, 2))
TERM = SemiOrthogonal(RHO, LAYERS)


@pytest.fixture
def theta():
    return torch.randn(N, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def matrices(theta):
    return [layer.views(theta)[0] for layer in LAYERS]


def floating(p):
    """α² by its definition."""
    square = p @ p.T
    return (square @ square).trace() / square.trace()


def residuals(theta, scales):
    """√(ρ / R) (P P' / α² - I), one matrix after the other."""
    found = []
    for p, scale in zip(matrices(theta), scales, strict=True):
        r = p @ p.T / scale - torch.eye(len(p), dtype=p.dtype)
        found.append(r.flatten() * (RHO / len(p)) ** 0.5)
    return torch.cat(found)


def by_definition(theta):
    return 0.5 * residuals(theta, [floating(p) for p in matrices(theta)]).square().sum()


def test_value_and_gradient_are_those_of_the_definition(theta):
    leaf = theta.clone().requires_grad_()
    expected = by_definition(leaf)
    (at,) = torch.autograd.grad(expected, leaf)
    assert TERM.value(theta) == pytest.approx(float(expected.detach()), rel=1e-12)
    target = torch.ones(N, dtype=torch.float64)
    assert TERM.add_gradient(target, theta, 7) is target
    torch.testing.assert_close(target, 1 + 7 * at, rtol=1e-11, atol=1e-12)


def test_products_are_those_of_the_dense_matrix_with_the_scale_held(theta):
    held = [floating(p).detach() for p in matrices(theta)]
    jacobian = torch.autograd.functional.jacobian(lambda t: residuals(t, held), theta)
    dense = jacobian.T @ jacobian
    curvature = TERM.at(theta)
    for seed in range(3):
        v = torch.randn(N, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        target = torch.ones_like(v)
        assert curvature.add_product(target, v, 7) is target
        torch.testing.assert_close(target, 1 + 7 * (dense @ v), rtol=1e-11, atol=1e-11)
        assert float(v @ (target - 1)) >= 0


def test_the_floating_scale_is_the_best_one(theta):
    best = [floating(p) for p in matrices(theta)]
    least = residuals(theta, best).square().sum()
    for factor in (0.99, 1.01):
        assert residuals(theta, [factor * scale for scale in best]).square().sum() > least


def test_scale_is_free_and_steps_leave_it(theta):
    """Twice as long rows are as orthogonal, and the gradient does not point to longer ones."""
    assert TERM.value(2 * theta) == pytest.approx(TERM.value(theta), rel=1e-12)
    gradient = TERM.add_gradient(torch.zeros_like(theta), theta, 1)
    for p, g in zip(matrices(theta), matrices(gradient), strict=True):
        assert float((p * g).sum()) == pytest.approx(0, abs=1e-12)
        assert float(g.norm()) > 1e-3


def test_semi_orthogonal_matrices_of_any_scale_cost_nothing(theta):
    for scale, p in zip((0.1, 3.0), matrices(theta), strict=True):
        p.copy_(scale * torch.linalg.qr(p.T.clone())[0].T)
    assert TERM.value(theta) == pytest.approx(0, abs=1e-20)
    assert float(TERM.add_gradient(torch.zeros_like(theta), theta, 1).norm()) < 1e-12


def test_one_matrix_costs_less_than_half_of_the_strength(theta):
    for p in matrices(theta):
        p.copy_(torch.outer(torch.ones(len(p)), p[0]))
    most = sum(1 - 1 / len(p) for p in matrices(theta))
    assert TERM.value(theta) == pytest.approx(0.5 * RHO * most, rel=1e-9)


def test_descent_leads_there(theta):
    start = TERM.value(theta)
    for _ in range(400):
        theta -= 2.0 * TERM.add_gradient(torch.zeros_like(theta), theta, 1)
    assert TERM.value(theta) < 1e-6 * start


def test_zeros_give_no_direction(theta):
    theta.zero_()
    assert TERM.value(theta) == pytest.approx(0.5 * RHO * 2)
    target = TERM.add_gradient(torch.zeros_like(theta), theta, 1)
    TERM.at(theta).add_product(target, torch.ones_like(theta), 1)
    assert not target.any()


def test_float32_is_near_float64(theta):
    found = TERM.add_gradient(torch.zeros(N), theta.float(), 5)
    expected = TERM.add_gradient(torch.zeros_like(theta), theta, 5)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)
    assert TERM.value(theta.float()) == pytest.approx(TERM.value(theta), rel=1e-5)
