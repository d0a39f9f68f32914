from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from asr_hf.curvature.precision import Precision
from asr_hf.curvature.space import UNSHARDED
from asr_hf.hf.acceptance import PairedTest, Proposal
from asr_hf.hf.damping import LevenbergMarquardt
from asr_hf.hf.hessian_free import HessianFree, Stopping
from asr_hf.hf.objective import LossSum, Sample, Split
from asr_hf.hf.preconditioners.kfac import KFACPreconditioner
from asr_hf.hf.sampling.geometric import GeometricSampling
from asr_hf.hf.solvers.base import Iterate, SolverResult, StopReason
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.runtime.clock import PhaseClock

CPU = torch.device("cpu")
FRAMES = np.full(50, 4)


class Held:
    """An objective whose held-out losses are given."""

    space = UNSHARDED

    def __init__(self, per_unit):
        self.per_unit = per_unit

    def unit_frames(self, split):
        return FRAMES

    def loss(self, theta, sample):
        return LossSum(float(self.per_unit.sum()), int(FRAMES.sum()), 0, self.per_unit)


def judge(before, after):
    theta, step = torch.zeros(3), torch.ones(3)
    run = SolverResult([Iterate(1, step, -0.5)], [0.0, -0.5], 1, StopReason.PROGRESS, None,
                       Precision.FP32)  # fmt: skip
    heldout = Sample(Split.HELDOUT, np.arange(50))
    known = LossSum(float(before.sum()), int(FRAMES.sum()), 0, before)
    damping = LevenbergMarquardt(value=0.1)
    proposal = Proposal(
        Held(after), theta, run, -step, heldout, 1.0, heldout, known, PhaseClock(CPU)
    )
    verdict = PairedTest(better=2.0, worse=4.0).judge(proposal)
    return verdict, damping.next(0.1, verdict)


@pytest.fixture
def losses():
    return 10 + torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def noise(scale):
    random = torch.Generator().manual_seed(2)
    return scale * torch.randn(50, dtype=torch.float64, generator=random)


def test_a_clearly_better_step_is_taken_and_damping_falls(losses):
    verdict, damping = judge(losses, losses - 1 + noise(0.3))
    assert verdict.length == 1.0 and damping < 0.1
    assert verdict.rho == pytest.approx((verdict.heldout.mean - losses.sum().item() / 200) / -0.5)


def test_chance_decides_nothing(losses):
    verdict, damping = judge(losses, losses + noise(1.0))
    assert verdict.length == 1.0 and damping == 0.1


def test_a_clearly_worse_step_is_rejected_and_damping_grows(losses):
    verdict, damping = judge(losses, losses + 1 + noise(0.3))
    assert verdict.length == 0.0 and damping > 0.1
    assert verdict.heldout.total == pytest.approx(float(losses.sum()))


def test_a_loss_that_is_not_finite_is_rejected(losses):
    verdict, _ = judge(losses, losses * math.nan)
    assert verdict.length == 0.0


def test_the_score_is_that_of_a_paired_t_test(losses):
    from scipy.stats import ttest_rel

    after = losses + noise(0.5) + 0.1
    known = LossSum(float(losses.sum()), 200, 0, losses)
    heldout = Sample(Split.HELDOUT, np.arange(50))
    proposal = Proposal(
        Held(after), None, None, None, heldout, 1.0, heldout, known, PhaseClock(CPU)
    )
    # Units of the same size: the two differ by the factor n / (n - 1) in the variance.
    expected = float(ttest_rel(after, losses).statistic) * math.sqrt(50 / 49)
    found = PairedTest().score(proposal, Held(after).loss(None, heldout))
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("setting", [{"better": 0.0}, {"worse": -1.0}])
def test_thresholds_are_positive(setting):
    with pytest.raises(ValueError, match="better > 0"):
        PairedTest(**setting)


def small_steps(net, theta):
    return HessianFree(
        objective=net,
        theta=theta,
        solver=FlexibleConjugateGradient(max_iterations=2, along_start=True),
        preconditioner=KFACPreconditioner(refresh_every=3),
        sampling=GeometricSampling(gradient=40, curvature=20, curvature_most=0.9),
        damping=LevenbergMarquardt(value=0.1),
        acceptance=PairedTest(),
        stopping=Stopping(max_iterations=15, patience=0),
        averaging=0.8,
        seed=3,
    )


def test_many_small_steps_lower_the_loss_and_resume_bit_for_bit(net, theta):
    whole = small_steps(net, theta)
    estimates = []
    while not whole.finished:
        whole.step()
        estimates.append(whole.theta.clone())
    assert whole.losses[-1] < 0.8 * whole.losses[0]
    mean = theta.clone()
    for number, iterate in enumerate(estimates, start=1):
        keep = min(0.8, 1 - 1 / (number + 1))
        mean = keep * mean + (1 - keep) * iterate
    torch.testing.assert_close(whole.estimate, mean, rtol=1e-12, atol=1e-12)
    first = small_steps(net, theta)
    for _ in range(7):
        first.step()
    again = small_steps(net, torch.zeros_like(theta))
    again.load_state_dict(copy.deepcopy(first.state_dict()))
    while not again.finished:
        again.step()
    assert torch.equal(again.estimate, whole.estimate)
    assert again.losses == whole.losses
