"""Products of less than full precision, and what is done about what they lose."""

from __future__ import annotations

import pytest
import torch

from asr_hf.curvature.gauss_newton import NarrowedChunk, SampleCurvature
from asr_hf.curvature.precision import Precision, matrix_arithmetic
from asr_hf.hf.preconditioners.identity import IdentityPreconditioner
from asr_hf.hf.solvers.cg import ConjugateGradient
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.hf.solvers.stopping import RelativeProgress

N = 60
NEVER = RelativeProgress(tolerance=0.0)


class Matrix:
    """Adds a dense product, computed in the dtype of its matrix."""

    def __init__(self, matrix, replays=True):
        self.matrix, self.replays = matrix, replays

    def add_product(self, vector, out):
        out.add_(self.matrix @ vector)


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


def test_order_of_precisions():
    assert [p.higher for p in Precision] == [Precision.FP32, Precision.FP32, Precision.TF32]


@pytest.mark.parametrize("kind", [ConjugateGradient, FlexibleConjugateGradient])
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


def test_narrowed_chunks_add_up_in_full_precision():
    a = spd(0.5).float()
    v = torch.randn(N, generator=torch.Generator().manual_seed(2))
    room, product = (torch.empty(N, dtype=torch.bfloat16) for _ in "vp")
    chunks = [NarrowedChunk(Matrix(a.bfloat16()), room, product) for _ in range(1000)]
    out = torch.zeros(N)
    for chunk in chunks:
        chunk.add_product(v, out)
    # bfloat16 sums would stall after a few hundred equal terms.
    torch.testing.assert_close(out / 1000, a @ v, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("kept", [0, 2, None])
def test_chunks_made_anew_give_the_same_sums(kept):
    matrices = [spd(1.0) * k for k in range(1, 6)]
    made = []

    def make(place, precision):
        made.append(place)
        return Matrix(matrices[place])

    curvature = SampleCurvature(make, 5, 10, lambda frames: None, kept=kept)
    v = torch.randn(N, dtype=torch.float64)
    for _ in range(2):
        torch.testing.assert_close(curvature.product(v), sum(matrices) @ v)
    assert len(made) == (5 if kept is None else kept + 2 * (5 - kept))


def test_exact_product_leaves_the_precision_and_counts_as_one():
    asked, counted = [], []

    def make(place, precision):
        asked.append(precision)
        return Matrix(spd(1.0))

    curvature = SampleCurvature(make, 2, 7, counted.append, precision=Precision.BF16)
    v = torch.randn(N, dtype=torch.float64)
    torch.testing.assert_close(curvature.exact_product(v), 2 * (spd(1.0) @ v))
    assert asked == [Precision.BF16] * 2 + [Precision.FP32] * 2
    assert curvature.precision is Precision.BF16 and counted == [7]
    curvature.raise_precision()
    assert asked[4:] == [Precision.TF32] * 2


def test_arithmetic_is_as_before_after_the_block():
    before = torch.get_float32_matmul_precision()
    with matrix_arithmetic(Precision.TF32):
        assert torch.get_float32_matmul_precision() == "high"
        with matrix_arithmetic(Precision.FP32):
            assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == before
