"""λ follows what was decided about a step, and stays between its bounds."""

from __future__ import annotations

import pytest
import torch

from asr_hf.hf.damping import DampedOperator, LevenbergMarquardt
from asr_hf.hf.objective import LossSum, Split
from asr_hf.hf.solvers.base import Iterate
from asr_hf.hf.verdict import Outcome, Verdict

RULE = LevenbergMarquardt(value=1.0, floor=0.5, ceiling=2.0)


def verdict(outcome, rho=None):
    iterate, heldout = Iterate(1, torch.ones(2), -1.0), LossSum(1.0, 1, 0, torch.ones(1))
    return Verdict(outcome, iterate, float(outcome is not Outcome.REJECTED), heldout, rho)


def measured(rho):
    return verdict(Outcome.MEASURED, rho)


@pytest.mark.parametrize(
    ("rho", "factor"),
    [
        (float("-inf"), 1.5),
        (-1.0, 1.5),
        (0.1, 1.5),
        (0.25, 1.0),
        (0.5, 1.0),
        (0.75, 1.0),
        (0.9, 2 / 3),
        (2.0, 2 / 3),
    ],
)
def test_damping_follows_the_reduction_ratio(rho, factor):
    assert RULE.next(1.0, measured(rho)) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("outcome", "factor"),
    [(Outcome.REJECTED, 1.5), (Outcome.BETTER, 2 / 3), (Outcome.UNCLEAR, 1.0)],
)
@pytest.mark.parametrize("rho", [None, 0.1, 0.9])
def test_other_outcomes_count_whatever_the_ratio_is(outcome, factor, rho):
    assert RULE.next(1.0, verdict(outcome, rho)) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("step", "bound"), [(verdict(Outcome.REJECTED), 2.0), (measured(2.0), 0.5)]
)
def test_damping_stays_between_its_bounds(step, bound):
    damping = RULE.value
    for _ in range(9):
        damping = RULE.next(damping, step)
    assert damping == bound


def test_a_rule_keeps_no_state():
    RULE.next(1.0, measured(0.1))
    assert LevenbergMarquardt(value=1.0, floor=0.5, ceiling=2.0) == RULE


def test_damped_operator_is_the_mean_plus_lambda(net, theta, everything):
    operator = DampedOperator(net.curvature(theta, everything), 0.3)
    frames = net.unit_frames(Split.TRAIN).sum()
    dense = net.dense_gauss_newton(theta, everything) / frames
    dense += 0.3 * torch.eye(net.num_parameters, dtype=torch.float64)
    v = torch.randn(net.num_parameters, dtype=torch.float64)
    damped = operator.curvature_product(v) + operator.damping * v
    torch.testing.assert_close(damped, dense @ v, rtol=1e-12, atol=1e-12)


def test_damping_refuses_a_start_outside_its_bounds():
    with pytest.raises(ValueError, match="floor"):
        LevenbergMarquardt(value=1e-9)
