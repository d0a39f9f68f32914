"""What solvers do about what products of less than full precision lose."""

from __future__ import annotations

import pytest
import torch

from asr_hf.curvature.precision import Precision
from asr_hf.hf.preconditioners.identity import IdentityPreconditioner
from asr_hf.hf.solvers.cg import ConjugateGradient
from asr_hf.hf.solvers.stopping import RelativeProgress

from .options import classes

N = 60
NEVER = RelativeProgress(tolerance=0.0)


class Coarse:
    """A dense operator whose products keep as many bits as bfloat16 until the precision rises."""

    def __init__(self, matrix, damping):
        self.matrix, self.damping, self.precision = matrix, damping, Precision.BF16
        self.seen = []

    def curvature_product(self, v, out=None):
        self.seen.append(self.precision)
        if self.precision is Precision.FP32:
            return self.exact_product(v, out)
        bits = torch.bfloat16 if self.precision is Precision.BF16 else torch.float16
        return (out if out is not None else torch.empty_like(v)).copy_(
            (self.matrix.to(bits).to(v) @ v.to(bits).to(v)).to(bits)
        )

    def exact_product(self, v, out=None):
        return torch.mv(self.matrix, v, out=out)

    def raise_precision(self):
        self.precision = self.precision.higher


def spd(spread):
    g = torch.Generator().manual_seed(0)
    q, _ = torch.linalg.qr(torch.randn(N, N, generator=g, dtype=torch.float64))
    return q @ torch.diag(torch.logspace(-spread, 0, N, dtype=torch.float64)) @ q.T


@pytest.mark.parametrize("kind", classes("solver"))
def test_drift_raises_the_precision_until_the_solution_is_exact(kind):
    a = spd(3.0)
    b = torch.randn(N, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    operator = Coarse(a, 1e-3)
    method = kind(500, NEVER, residual_tolerance=1e-10, drift_tolerance=0.02)
    result = method.solve(operator, b, torch.zeros_like(b), IdentityPreconditioner())
    exact = torch.linalg.solve(a + 1e-3 * torch.eye(N, dtype=torch.float64), b)
    torch.testing.assert_close(result.iterates[-1].d, exact, rtol=1e-6, atol=1e-6)
    assert result.precision is Precision.FP32
    assert operator.seen[0] is Precision.BF16 and operator.seen[-1] is Precision.FP32
    assert result.drift is not None and result.drift > 1e-4


def test_precision_stays_where_little_drifts():
    a = spd(0.5)
    b = torch.randn(N, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    operator = Coarse(a, 1.0)
    method = ConjugateGradient(max_iterations=4, stopping=NEVER, recompute_every_reduced=2)
    result = method.solve(operator, b, torch.zeros_like(b), IdentityPreconditioner())
    assert result.precision is Precision.BF16
    assert result.drift is not None and 0 < result.drift < 0.05


def test_values_are_exact_after_each_check():
    a = spd(1.0)
    b = torch.randn(N, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    method = ConjugateGradient(max_iterations=10, stopping=NEVER, recompute_every_reduced=5)
    result = method.solve(Coarse(a, 0.1), b, torch.zeros_like(b), IdentityPreconditioner())
    d = result.iterates[-1].d
    damped = a + 0.1 * torch.eye(N, dtype=torch.float64)
    assert result.values[-1] == pytest.approx(float(0.5 * d @ damped @ d - b @ d), rel=1e-10)
