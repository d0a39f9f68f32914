"""Derivatives of normalised rows against autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asr_hf.curvature.normalisation import (
    EPSILON,
    RMS_EPSILON,
    NormaliseRows,
    ProjectedRows,
    ScaledRows,
    normalised_rows,
)

GENERATOR = torch.Generator().manual_seed(0)
OUTPUTS = torch.rand(5, 7, generator=GENERATOR, dtype=torch.float64)
VALUE = torch.randn(5, 7, generator=GENERATOR, dtype=torch.float64)
MEAN, SCALE = OUTPUTS.mean(0), 1 / OUTPUTS.std(0)


def rms(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + RMS_EPSILON).sqrt()


def layer(x: Tensor) -> Tensor:
    return torch.nn.functional.layer_norm(x, x.shape[1:], eps=EPSILON)


def batch(x: Tensor) -> Tensor:
    return (x - MEAN) * SCALE


KINDS = {
    "rms": (rms, lambda x: ProjectedRows(x, centred=False)),
    "layer": (layer, lambda x: ProjectedRows(x, centred=True)),
    "batch": (batch, lambda x: ScaledRows(x, MEAN, SCALE)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_and_both_products_with_the_derivative_follow_the_definition(kind):
    function, make = KINDS[kind]
    rows = make(OUTPUTS)
    torch.testing.assert_close(rows.rows, function(OUTPUTS), rtol=1e-13, atol=1e-13)
    for product in (torch.autograd.functional.jvp, torch.autograd.functional.vjp):
        found = VALUE.clone()
        rows.times_jacobian(found)
        torch.testing.assert_close(found, product(function, OUTPUTS, VALUE)[1])


@pytest.mark.parametrize("centred", [False, True])
def test_rows_of_dead_units_stay_zero_and_pass_nothing_that_is_not_finite(centred):
    outputs = torch.zeros(2, 4, requires_grad=True)
    rows, _ = NormaliseRows.apply(outputs, centred)
    rows.sum().backward()
    assert not rows.any() and torch.isfinite(outputs.grad).all()
    value = torch.ones(2, 4)
    ProjectedRows(outputs.detach(), centred).times_jacobian(value)
    assert torch.isfinite(value).all()


@pytest.mark.parametrize("centred", [False, True])
def test_derivatives_by_hand_are_right_to_the_second_order(centred):
    outputs = OUTPUTS.clone().requires_grad_()

    def rows_and_scales(x: Tensor) -> tuple[Tensor, Tensor]:
        return NormaliseRows.apply(x, centred)

    assert torch.autograd.gradcheck(rows_and_scales, outputs)
    assert torch.autograd.gradgradcheck(rows_and_scales, outputs)
    assert torch.autograd.gradgradcheck(lambda x: rows_and_scales(x)[0], outputs)


def test_narrow_rows_have_their_statistics_in_single_precision():
    outputs = torch.full((1, 512), 300.0, dtype=torch.bfloat16)
    rows, scale = normalised_rows(outputs, centred=False)
    assert rows.dtype == scale.dtype == torch.bfloat16
    torch.testing.assert_close(rows.float(), torch.ones(1, 512), rtol=0.01, atol=0)
