from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from asr_hf.curvature.precision import Precision
from asr_hf.hf.acceptance import Backtracking
from asr_hf.hf.damping import LevenbergMarquardt
from asr_hf.hf.hessian_free import HessianFree, Stopping
from asr_hf.hf.line_search import Armijo
from asr_hf.hf.objective import LossSum, Split
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.solvers.cg import ConjugateGradient
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.runtime.errors import RunError

from .options import every_option, make, options


def made(part, given):
    """The part itself, or what an option describes."""
    return make(part, given) if isinstance(given, str) else given


def trainer(net, theta, preconditioner="lbfgs", sampling="fixed", solver=None, **changes):
    settings = {
        "objective": net,
        "theta": theta,
        "solver": solver or FlexibleConjugateGradient(max_iterations=20),
        "preconditioner": made("preconditioner", preconditioner),
        "sampling": made("sampling", sampling),
        "damping": LevenbergMarquardt(),
        "acceptance": Backtracking(Armijo()),
        "stopping": Stopping(max_iterations=12, patience=0),
        "seed": 7,
    }
    return HessianFree(**(settings | changes))


def run(hf):
    events = []
    while not hf.finished:
        events.append(hf.step())
    return events


def run_resumed_as_undisturbed(theta, make_trainer):
    """Run it undisturbed and resumed, which must be the same bits; return the former."""
    whole = make_trainer(theta)
    run(whole)
    first = make_trainer(theta)
    for _ in range(5):
        first.step()
    state = copy.deepcopy(first.state_dict())
    second = make_trainer(torch.zeros_like(theta))
    second.load_state_dict(state)
    run(second)
    assert torch.equal(whole.theta, second.theta)
    assert whole.losses == second.losses
    assert whole.current_damping == second.current_damping
    return whole


@pytest.mark.parametrize("preconditioner", options("preconditioner"))
@pytest.mark.parametrize("sampling", options("sampling"))
def test_heldout_loss_never_rises_and_a_resumed_run_has_the_same(
    net, theta, preconditioner, sampling
):
    hf = run_resumed_as_undisturbed(
        theta, lambda start: trainer(net, start, preconditioner, sampling)
    )
    assert all(b <= a for a, b in zip(hf.losses, hf.losses[1:], strict=False))
    assert hf.losses[-1] < 0.75 * hf.losses[0]
    assert hf.losses[-1] == pytest.approx(net.loss(hf.theta, hf.heldout).mean, rel=1e-9)


@pytest.mark.parametrize(
    ("part", "option"),
    [(p, o) for p, o in every_option() if p not in ("preconditioner", "sampling")],
)
def test_a_run_with_any_other_part_lowers_the_loss_and_resumes(net, theta, part, option):
    parts = {part: make(part, option)}
    if part == "cg_stopping":
        parts = {"solver": FlexibleConjugateGradient(max_iterations=20, stopping=parts[part])}

    def make_trainer(start):
        return trainer(net, start, **copy.deepcopy(parts))

    hf = run_resumed_as_undisturbed(theta, make_trainer)
    assert hf.losses[-1] < 0.75 * hf.losses[0]


def test_converges_to_the_minimum_of_a_convex_problem(net, theta, everything):
    class Softmax(type(net)):
        """Softmax regression on the inputs; the other parameters are idle."""

        def logits(self, parts, x):
            w1, b1, w2, b2 = parts
            return x @ w1[:3].T + b1[:3] + 0.0 * (w2.sum() + b2.sum())

    convex = Softmax()
    convex._data[Split.HELDOUT] = convex._data[Split.TRAIN]
    hf = trainer(
        convex,
        theta,
        "identity",
        solver=ConjugateGradient(max_iterations=200),
        stopping=Stopping(max_iterations=30, patience=0),
    )
    hf.sampling = FixedSampling(1.0, 1.0)
    run(hf)
    assert float(convex.gradient(hf.theta, everything)[1].norm()) < 1e-4


def test_event_names_what_happened(net, theta):
    event = trainer(net, theta).step()
    assert event["cg_reason"] in {"progress", "max_iterations", "residual"}
    assert event["gradient_frames"] == net.unit_frames(Split.TRAIN).sum()
    assert 0 < event["curvature_frames"] < event["gradient_frames"]
    assert event["accepted"] == (event["step"] > 0)
    assert set(event["phase_seconds"]) >= {"gradient", "curvature", "backtrack"}


def test_reduction_ratio_is_one_on_a_quadratic(net, theta):
    matrix = torch.diag(torch.arange(1.0, net.num_parameters + 1, dtype=torch.float64))

    class Quadratic(type(net)):
        """L = ½ θ'Dθ a frame, whose Gauss-Newton matrix is D."""

        def loss(self, t, sample):
            frames = int(self.unit_frames(sample.split)[sample.units].sum())
            return LossSum(frames * float(0.5 * t @ matrix @ t), frames, 0, torch.zeros(1))

        def gradient(self, t, sample):
            loss = self.loss(t, sample)
            return loss, loss.num_frames * (matrix @ t)

        def curvature(self, t, sample):
            frames = int(self.unit_frames(sample.split)[sample.units].sum())

            class Exact:
                precision = Precision.FP32

                def product(self, v, out=None):
                    return torch.mul(matrix @ v, frames, out=out)

            exact = Exact()
            exact.num_frames = frames
            return exact

    damping = LevenbergMarquardt(value=1e-5, floor=1e-5)
    event = trainer(Quadratic(), theta, damping=damping).step()
    assert event["rho"] == pytest.approx(1.0, abs=1e-3)
    assert event["accepted"] and event["step"] == 1.0


def test_step_that_lowers_nothing_is_rejected_and_damping_raised(net, theta):
    class Walled(type(net)):
        def loss(self, t, sample):
            loss = super().loss(t, sample)
            return (
                loss
                if torch.equal(t, theta)
                else LossSum(math.nan, loss.num_frames, 0, torch.ones(1))
            )

    hf = trainer(Walled(), theta)
    event = hf.step()
    assert not event["accepted"] and event["step"] == 0.0
    assert torch.equal(hf.theta, theta)
    assert hf.current_damping == pytest.approx(0.15)
    assert not hf.warm_start.any()


def test_non_finite_gradient_is_an_error_that_says_so(net, theta):
    with pytest.raises(RunError, match="not finite"):
        trainer(net, torch.full_like(theta, math.nan)).step()


def test_stopping_on_little_progress():
    stopping = Stopping(max_iterations=100, patience=3, min_improvement=0.01)
    assert not stopping.reached([1.0, 0.9, 0.8, 0.7])
    assert stopping.reached([1.0, 0.9, 0.899, 0.898, 0.897, 0.896, 0.895])
    assert not stopping.reached([1.0, 0.9, 0.89, 0.88, 0.87, 0.86, 0.85])
    assert Stopping(max_iterations=2).reached([3.0, 2.0, 1.0])


def test_losses_of_small_samples_do_not_end_a_run_by_chance():
    stopping = Stopping(max_iterations=1000, patience=40, min_improvement=5e-3)
    noise = 0.02 * np.random.default_rng(0).normal(size=400)
    falling = (3.0 * 0.9995 ** np.arange(400) + noise).tolist()
    assert not any(stopping.reached(falling[:count]) for count in range(1, 401))
    level = (2.0 + noise).tolist()
    assert stopping.reached(level[:100])


def test_acceptance_sample_is_bounded(net, theta):
    hf = trainer(net, theta, heldout_frames=20)
    frames = net.unit_frames(Split.HELDOUT)
    assert 20 <= frames[hf.heldout.units].sum() < frames.sum()
