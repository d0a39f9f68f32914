"""Shampoo's factors against dense matrices in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asr_hf.hf.acceptance import Backtracking
from asr_hf.hf.damping import LevenbergMarquardt
from asr_hf.hf.hessian_free import HessianFree, Stopping
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.preconditioners.shampoo import GradientFactors, ShampooPreconditioner
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.hf.statistics import SampleStatistics

SAMPLE = Sample(Split.TRAIN, np.arange(25))


def unit_matrices(net, theta):
    """Each unit's gradient by (W, b) [units, out, in+1], layer by layer, by differentiation."""
    layers = [[], []]
    for unit in SAMPLE.units:
        leaves = [p.clone().requires_grad_() for p in net.parts(theta)]
        x, y = net.batch(Sample(Split.TRAIN, np.array([unit])))
        loss = torch.nn.functional.cross_entropy(net.logits(leaves, x), y, reduction="sum")
        w1, b1, w2, b2 = torch.autograd.grad(loss, leaves)
        layers[0].append(torch.cat([w1, b1[:, None]], 1))
        layers[1].append(torch.cat([w2, b2[:, None]], 1))
    return [torch.stack(found) for found in layers]


@pytest.mark.parametrize("damping", [1e-4, 0.3])
def test_it_equals_the_dense_inverse_of_its_definition(net, theta, damping):
    preconditioner = ShampooPreconditioner()
    preconditioner.prepare(damping, SampleStatistics(net, theta, SAMPLE, theta, 0))
    r = torch.randn(len(theta), dtype=torch.float64)
    found, frames = preconditioner.apply(r), net.unit_frames(Split.TRAIN)[SAMPLE.units].sum()
    for layer, g in zip(net.layers, unit_matrices(net, theta), strict=True):
        left = torch.einsum("uoi,upi->op", g, g) / frames
        right = torch.einsum("uoi,uoj->ij", g, g) / frames
        right /= left.trace()
        pi = (right.diagonal().mean() / left.diagonal().mean()).sqrt()
        a = right + pi * damping**0.5 * torch.eye(len(right), dtype=torch.float64)
        b = left + damping**0.5 / pi * torch.eye(len(left), dtype=torch.float64)
        split = layer.start + layer.outputs * layer.inputs
        stop = split + layer.outputs
        weight = r[layer.start : split].view(layer.outputs, layer.inputs)
        matrix = torch.cat([weight, r[split:stop, None]], 1)
        exact = torch.linalg.solve(torch.kron(b, a), matrix.reshape(-1)).view(matrix.shape)
        torch.testing.assert_close(found[layer.start : split].view_as(weight), exact[:, :-1])
        torch.testing.assert_close(found[split:stop], exact[:, -1])


def test_factors_of_gradients_of_rank_one_are_exact(net, theta):
    """One unit: then the empirical Fisher matrix g g' is a Kronecker product if G has rank one."""
    one = Sample(Split.TRAIN, np.array([0]))

    class RankOne(type(net)):
        def unit_gradients(self, theta, sample):
            g = torch.zeros_like(theta)
            for layer in self.layers:
                v = torch.linspace(-1, 2, layer.outputs, dtype=theta.dtype)
                u = torch.linspace(1, 3, layer.inputs + 1, dtype=theta.dtype)
                split = layer.start + layer.outputs * layer.inputs
                g[layer.start : split] = torch.outer(v, u[:-1]).flatten()
                g[split : split + layer.outputs] = v * u[-1]
            yield 4, g

    known = RankOne()
    (_, g), frames = next(known.unit_gradients(theta, one)), known.unit_frames(Split.TRAIN)[0]
    statistics = SampleStatistics(known, theta, one, theta, 0)
    layer, factor = known.layers[1], statistics.accumulate(GradientFactors(known.layers))[1]
    split = layer.start + layer.outputs * layer.inputs
    weight = g[layer.start : split].view(layer.outputs, layer.inputs)
    rows = torch.cat([weight, g[split:, None]], 1).flatten()
    kronecker = torch.kron(factor.outputs, factor.inputs)
    torch.testing.assert_close(kronecker, torch.outer(rows, rows) / frames)


def test_training_with_it_lowers_the_loss(net, theta):
    hf = HessianFree(
        objective=net,
        theta=theta,
        solver=FlexibleConjugateGradient(max_iterations=20),
        preconditioner=ShampooPreconditioner(refresh_every=2),
        sampling=FixedSampling(curvature=0.5),
        damping=LevenbergMarquardt(),
        acceptance=Backtracking(),
        stopping=Stopping(max_iterations=10, patience=0),
    )
    while not hf.finished:
        hf.step()
    assert hf.losses[-1] < 0.75 * hf.losses[0]
