from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from asr_hf.curvature.gauss_newton import KeptDoubleBackward
from asr_hf.curvature.r_operator import Activation, MLPCurvature
from asr_hf.curvature.unit_moments import UnitMoments
from asr_hf.hf.damping import DampedOperator, LevenbergMarquardt
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.statistics import SampleStatistics


def test_product_equals_dense_jacobian_product(net, theta, everything):
    curvature = net.curvature(theta, everything)
    dense = net.dense_gauss_newton(theta, everything)
    for seed in range(3):
        v = torch.randn(
            net.num_parameters, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        torch.testing.assert_close(curvature.product(v), dense @ v, rtol=1e-12, atol=1e-12)


def test_damped_operator_is_the_mean_plus_lambda(net, theta, everything):
    operator = DampedOperator(net.curvature(theta, everything), 0.3)
    frames = net.unit_frames(Split.TRAIN).sum()
    dense = net.dense_gauss_newton(theta, everything) / frames
    dense += 0.3 * torch.eye(net.num_parameters, dtype=torch.float64)
    v = torch.randn(net.num_parameters, dtype=torch.float64)
    damped = operator.curvature_product(v) + operator.damping * v
    torch.testing.assert_close(damped, dense @ v, rtol=1e-12, atol=1e-12)


def test_gradient_equals_finite_differences(net, theta, everything):
    _, gradient = net.gradient(theta, everything)
    for i in range(0, net.num_parameters, 7):
        step = torch.zeros_like(theta)
        step[i] = 1e-6
        numeric = (
            net.loss(theta + step, everything).total - net.loss(theta - step, everything).total
        ) / 2e-6
        assert float(gradient[i]) == pytest.approx(numeric, rel=1e-6, abs=1e-7)


def test_spread_predicts_the_variance_of_sampled_gradients(net, theta, everything):
    frames = net.unit_frames(Split.TRAIN)
    _, total = net.gradient(theta, everything)
    mean = total / frames.sum()
    statistics = SampleStatistics(net, theta, everything, mean, 0)
    moments = statistics.accumulate(UnitMoments(mean, net.space))
    rng = np.random.default_rng(0)
    errors, sizes = [], []
    for _ in range(400):
        units = rng.integers(0, 40, size=20)
        loss, g = net.gradient(theta, Sample(Split.TRAIN, units))
        errors.append(float((g / loss.num_frames - mean).square().sum()))
        sizes.append(loss.num_frames)
    assert np.mean(errors) == pytest.approx(moments.variance / np.mean(sizes), rel=0.2)
    by_hand = sum(
        net.gradient(theta, Sample(Split.TRAIN, np.array([u])))[1].square() for u in range(40)
    )
    torch.testing.assert_close(moments.squares, by_hand / frames.sum())


def test_damping_refuses_a_start_outside_its_bounds():
    with pytest.raises(ValueError, match="floor"):
        LevenbergMarquardt(value=1e-9)


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("hidden", [[], [7], [5, 9, 4]])
def test_hand_written_product_equals_double_backward(activation, hidden):
    generator = torch.Generator().manual_seed(2)
    sizes = [6, *hidden, 3]
    leaves = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        for shape in ((fan_out, fan_in), (fan_out,)):
            leaf = torch.randn(shape, generator=generator, dtype=torch.float64)
            leaves.append(leaf.requires_grad_())
    inputs = torch.randn(11, 6, generator=generator, dtype=torch.float64)
    value, act = inputs, getattr(torch, activation)
    for layer in range(0, len(leaves), 2):
        value = value @ leaves[layer].T + leaves[layer + 1]
        if layer < len(leaves) - 2:
            value = act(value)

    def softmax_curvature(logits):
        p = logits.detach().softmax(1)

        def product(u, out=None):
            pu = p * u
            result = pu - p * pu.sum(1, keepdim=True)
            return result if out is None else out.copy_(result)

        return product

    generic = KeptDoubleBackward(value, leaves, softmax_curvature(value))
    fast = MLPCurvature(leaves[::2], leaves[1::2], activation, inputs, softmax_curvature)
    n = sum(p.numel() for p in leaves)
    for _ in range(3):
        v = torch.randn(n, generator=generator, dtype=torch.float64)
        expected, found = torch.ones(n, dtype=torch.float64), torch.ones(n, dtype=torch.float64)
        generic.add_product(v, expected)
        fast.add_product(v, found)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
