"""The R-operator against double backward."""

from __future__ import annotations

import itertools

import pytest
import torch

from asr_hf.curvature.gauss_newton import KeptDoubleBackward
from asr_hf.curvature.normalisation import ProjectedRows, ScaledRows
from asr_hf.curvature.r_operator import Activation, MLPCurvature

NORMALISE = {
    "none": None,
    "rms": lambda outputs: ProjectedRows(outputs, centred=False),
    "layer": lambda outputs: ProjectedRows(outputs, centred=True),
    "batch": lambda outputs: ScaledRows(
        outputs, outputs.detach().mean(0), 1 / (outputs.detach().std(0) + 0.1)
    ),
}


@pytest.mark.parametrize("kind", NORMALISE)
@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("hidden", [[], [7], [5, 9, 4]])
def test_hand_written_product_equals_double_backward(activation, hidden, kind):
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
            if NORMALISE[kind]:
                value = NORMALISE[kind](value).rows

    def softmax_curvature(logits):
        p = logits.detach().softmax(1)

        def product(u, out=None):
            pu = p * u
            result = pu - p * pu.sum(1, keepdim=True)
            return result if out is None else out.copy_(result)

        return product

    generic = KeptDoubleBackward(value, leaves, softmax_curvature(value))
    normalise = [NORMALISE[kind]] * len(hidden) if NORMALISE[kind] else []
    fast = MLPCurvature(leaves[::2], leaves[1::2], activation, inputs, softmax_curvature, normalise)
    n = sum(p.numel() for p in leaves)
    for _ in range(3):
        v = torch.randn(n, generator=generator, dtype=torch.float64)
        expected, found = torch.ones(n, dtype=torch.float64), torch.ones(n, dtype=torch.float64)
        generic.add_product(v, expected)
        fast.add_product(v, found)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
