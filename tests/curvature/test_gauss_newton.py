"""Products by double backward, and sums of them over chunks."""

from __future__ import annotations

import pytest
import torch

from asr_hf.curvature.gauss_newton import NarrowedChunk, SampleCurvature
from asr_hf.curvature.precision import Precision

N = 60


class Matrix:
    """Adds a dense product, computed in the dtype of its matrix."""

    def __init__(self, matrix, replays=True):
        self.matrix, self.replays = matrix, replays

    def add_product(self, vector, out):
        out.add_(self.matrix @ vector)


def spd(spread):
    g = torch.Generator().manual_seed(0)
    q, _ = torch.linalg.qr(torch.randn(N, N, generator=g, dtype=torch.float64))
    return q @ torch.diag(torch.logspace(-spread, 0, N, dtype=torch.float64)) @ q.T


def test_product_equals_dense_jacobian_product(net, theta, everything):
    curvature = net.curvature(theta, everything)
    dense = net.dense_gauss_newton(theta, everything)
    for seed in range(3):
        v = torch.randn(
            net.num_parameters, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        torch.testing.assert_close(curvature.product(v), dense @ v, rtol=1e-12, atol=1e-12)


def test_gradient_equals_finite_differences(net, theta, everything):
    _, gradient = net.gradient(theta, everything)
    for i in range(0, net.num_parameters, 7):
        step = torch.zeros_like(theta)
        step[i] = 1e-6
        numeric = (
            net.loss(theta + step, everything).total - net.loss(theta - step, everything).total
        ) / 2e-6
        assert float(gradient[i]) == pytest.approx(numeric, rel=1e-6, abs=1e-7)


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
