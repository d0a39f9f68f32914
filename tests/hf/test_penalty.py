"""Weight decay and pull in the objective, against dense matrices in float64."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch

from asr_hf.cli.compose import load_config
from asr_hf.curvature.unit_moments import UnitMoments
from asr_hf.hf.acceptance import Backtracking
from asr_hf.hf.annealing import Linear
from asr_hf.hf.damping import DampedOperator, LevenbergMarquardt
from asr_hf.hf.hessian_free import HessianFree, Stopping
from asr_hf.hf.horizon import Horizon
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.penalty import penalised
from asr_hf.hf.preconditioners.diagonal import DiagonalPreconditioner
from asr_hf.hf.preconditioners.identity import IdentityPreconditioner
from asr_hf.hf.preconditioners.kfac import KFACPreconditioner
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.solvers.cg import ConjugateGradient
from asr_hf.hf.statistics import SampleStatistics
from asr_hf.hf.stochastic import StochasticHessianFree
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.process_group import ProcessGroup
from asr_hf.training.distributed.sharded import Sharded

RHO = 0.3
HELDOUT = Sample(Split.HELDOUT, np.arange(12))


@dataclass
class Case:
    """Strengths of decay and pull, and what the pull is towards [n].

    Args:
        decay: ρ of weight decay.
        pull: ρ of the pull.
        centre: where the pull is towards.
        on_weights: 1 at the weights, 0 at the biases [n].
    """

    decay: float
    pull: float
    centre: torch.Tensor
    on_weights: torch.Tensor

    def value(self, theta: torch.Tensor) -> torch.Tensor:
        away = (theta - self.centre).square().sum()
        return 0.5 * (self.decay * (theta * self.on_weights).square().sum() + self.pull * away)

    def gradient(self, theta: torch.Tensor) -> torch.Tensor:
        return self.decay * theta * self.on_weights + self.pull * (theta - self.centre)

    @property
    def curvature(self) -> torch.Tensor:
        return self.decay * self.on_weights + self.pull


@pytest.fixture(params=[(RHO, 0.0), (0.0, 0.7), (RHO, 0.7)], ids=["decay", "pull", "both"])
def case(request, theta, on_weights):
    centre = torch.randn(len(theta), generator=torch.Generator().manual_seed(7)).double()
    return Case(*request.param, centre, on_weights)


@pytest.fixture
def decayed(net, case):
    return penalised(net, case.centre, case.decay, case.pull)


@pytest.fixture
def on_weights(net):
    """1 at the weights, 0 at the biases [n], by the shapes of the parameters."""
    parts = [torch.full((int(np.prod(s)),), float(len(s) > 1)) for s in net.shapes]
    return torch.cat(parts).double()


def frames_of(net, sample):
    return int(net.unit_frames(sample.split)[sample.units].sum())


def test_loss_and_gradient_are_those_of_the_sum(net, decayed, theta, everything, case):
    frames, leaf = frames_of(net, everything), theta.clone().requires_grad_()
    expected = net.losses(leaf, everything).sum() + frames * case.value(leaf)
    (at,) = torch.autograd.grad(expected, leaf)
    loss, gradient = decayed.gradient(theta, everything)
    torch.testing.assert_close(gradient, at, rtol=1e-12, atol=1e-12)
    for found in (loss, decayed.loss(theta, everything)):
        assert found.total == pytest.approx(float(expected.detach()), rel=1e-12)
        assert float(found.per_unit.sum()) == pytest.approx(found.total, rel=1e-12)
        assert found.data_mean == pytest.approx(net.loss(theta, everything).mean, rel=1e-12)


def test_products_have_rho_on_the_diagonal(net, decayed, theta, everything, case):
    dense = net.dense_gauss_newton(theta, everything)
    dense += frames_of(net, everything) * torch.diag(case.curvature)
    curvature = decayed.curvature(theta, everything)
    assert curvature.num_frames == frames_of(net, everything)
    for seed in range(2):
        v = torch.randn(len(theta), generator=torch.Generator().manual_seed(seed)).double()
        out = torch.empty_like(v)
        for found in (curvature.product(v), curvature.exact_product(v), curvature.product(v, out)):
            torch.testing.assert_close(found, dense @ v, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(out, dense @ v, rtol=1e-11, atol=1e-11)


def test_held_out_data_have_none(net, decayed, theta):
    assert decayed.loss(theta, HELDOUT).total == net.loss(theta, HELDOUT).total
    assert torch.equal(decayed.gradient(theta, HELDOUT)[1], net.gradient(theta, HELDOUT)[1])
    v = torch.ones_like(theta)
    found = decayed.curvature(theta, HELDOUT).product(v)
    assert torch.equal(found, net.curvature(theta, HELDOUT).product(v))


def test_two_halves_add_up_to_the_whole(decayed, theta, everything):
    halves = [Sample(Split.TRAIN, u) for u in (everything.units[::2], everything.units[1::2])]
    gradients = sum(decayed.gradient(theta, half)[1] for half in halves)
    torch.testing.assert_close(gradients, decayed.gradient(theta, everything)[1])
    v = torch.ones_like(theta)
    products = sum(decayed.curvature(theta, half).product(v) for half in halves)
    torch.testing.assert_close(products, decayed.curvature(theta, everything).product(v))


def test_without_it_the_objective_is_the_data_s_and_less_is_refused(net):
    zero = torch.zeros(net.num_parameters)
    assert penalised(net, zero) is net
    for wrong in (-0.1, float("nan")):
        for key in ("weight_decay", "pull"):
            with pytest.raises(ValueError, match=rf"trainer\.{key}"):
                penalised(net, zero, **{key: wrong})


def test_the_centre_is_where_the_pull_began_whatever_becomes_of_the_vector(net, theta, everything):
    start = theta.clone()
    pulled = penalised(net, start, pull=0.7)
    start.add_(1.0)
    assert pulled.loss(theta, everything).penalty == 0.0


def test_a_new_output_layer_is_not_pulled(net, theta, everything):
    net.pulled = (slice(0, net.layers[1].start),)
    pulled = penalised(net, torch.zeros_like(theta), pull=0.7)
    gradient = pulled.gradient(theta, everything)[1] - net.gradient(theta, everything)[1]
    expected = 0.7 * frames_of(net, everything) * theta
    expected[net.pulled[0].stop :] = 0
    torch.testing.assert_close(gradient, expected)


def test_a_pull_keeps_statistics(net, theta, everything, monkeypatch):
    asked = []
    monkeypatch.setattr(net, "renew_statistics", lambda *given: asked.append(given) or 1)
    assert penalised(net, theta, weight_decay=RHO).renew_statistics(theta, everything) == 1
    assert penalised(net, theta, pull=RHO).renew_statistics(theta, everything) == 0
    assert len(asked) == 1


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_parts_of_vectors_have_their_parts_of_the_weights(net, theta, on_weights, count):
    found = []
    for rank in range(count):
        space = Sharded(ProcessGroup(rank, count), len(theta))
        part = torch.zeros(space.size)
        for place in space.parts(net.weights):
            part[place] += 1
        found.append(part)
    assert torch.equal(torch.cat(found)[: len(theta)].double(), on_weights)


def statistics_of(objective, theta, sample, decay=0.0):
    loss, gradient = objective.gradient(theta, sample)
    return SampleStatistics(objective, theta, sample, gradient / loss.num_frames, 3, decay)


def test_the_variance_of_gradients_is_that_of_the_data(net, decayed, theta, everything, case):
    plain, found = (statistics_of(x, theta, everything) for x in (net, decayed))
    before, after = (x.accumulate(UnitMoments(x.gradient, x.space)) for x in (plain, found))
    assert after.variance == pytest.approx(before.variance, rel=1e-9)
    units, frames = net.unit_gradients(theta, everything), frames_of(net, everything)
    squares = sum((g + n * case.gradient(theta)).square() for n, g in units) / frames
    torch.testing.assert_close(after.squares, squares)


@pytest.mark.parametrize("kind", [KFACPreconditioner, partial(DiagonalPreconditioner, 1.0)])
def test_it_is_damping_to_preconditioners_by_statistics(net, theta, everything, kind):
    one, two, r = kind(), kind(), torch.randn(len(theta)).double()
    one.prepare(0.1, statistics_of(net, theta, everything, RHO))
    two.prepare(0.1 + RHO, statistics_of(net, theta, everything))
    assert torch.equal(one.apply(r), two.apply(r))


def test_pairs_hold_it_once(net, decayed, theta, everything, case):
    """The newest pair meets the secant equation of G, the quadratics' curvature and λI."""
    preconditioner, pairs = LBFGSPreconditioner(pairs=4), []
    inner = preconditioner.observe
    preconditioner.observe = lambda s, g: (pairs.append(s.clone()), inner(s, g))
    operator = DampedOperator(decayed.curvature(theta, everything), 0.1)
    statistics = statistics_of(decayed, theta, everything, case.decay + case.pull)
    preconditioner.prepare(0.1, statistics)
    b = -statistics.gradient
    ConjugateGradient(max_iterations=4).solve(operator, b, torch.zeros_like(b), preconditioner)
    preconditioner.finish()
    preconditioner.prepare(0.1, statistics)
    dense = net.dense_gauss_newton(theta, everything) / frames_of(net, everything)
    dense += torch.diag(case.curvature) + 0.1 * torch.eye(len(theta))
    torch.testing.assert_close(preconditioner.apply(dense @ pairs[-1]), pairs[-1])


def hessian_free(net, theta, **changes):
    settings = {
        "solver": ConjugateGradient(max_iterations=40),
        "preconditioner": IdentityPreconditioner(),
        "sampling": FixedSampling(1.0, 1.0),
        "damping": LevenbergMarquardt(value=1e-3),
        "acceptance": Backtracking(),
        "stopping": Stopping(max_iterations=8, patience=0),
    }
    return HessianFree(objective=net, theta=theta, **(settings | changes))


class OnTraining(Backtracking):
    """Judges by the decayed loss of all training data, which held-out data may part from."""

    def judge(self, proposal):
        sample = Sample(Split.TRAIN, np.arange(40))
        before = proposal.objective.loss(proposal.theta, sample)
        return super().judge(replace(proposal, heldout=sample, before=before))


@pytest.mark.parametrize("preconditioner", [KFACPreconditioner, LBFGSPreconditioner])
@pytest.mark.parametrize("key", ["weight_decay", "pull"])
def test_hf_minimises_the_sum(net, theta, everything, preconditioner, key):
    """At the end the gradient of the data balances the quadratic; events tell the data's loss."""
    decayed = penalised(net, theta, **{key: RHO})
    before = net.loss(theta, everything).mean
    hf = hessian_free(
        net,
        theta,
        preconditioner=preconditioner(),
        acceptance=OnTraining(),
        damping=LevenbergMarquardt(value=0.1),
        **{key: RHO},
        stopping=Stopping(max_iterations=20, patience=0),
    )
    assert hf.step()["train_loss"] == pytest.approx(before, rel=1e-12)
    while not hf.finished:
        hf.step()
    start, end = (decayed.gradient(t, everything)[1].norm() for t in (theta, hf.theta))
    assert end < 0.03 * start
    assert net.gradient(hf.theta, everything)[1].norm() > 15 * end


def test_the_quadratic_model_foretells_the_decayed_loss(net, theta):
    """Where decay is nearly all of the loss, the model is exact: ρ of the damping rule is 1."""
    hf = hessian_free(net, theta, acceptance=OnTraining(), weight_decay=50.0)
    assert hf.step()["rho"] == pytest.approx(1.0, abs=0.02)


def by_short_steps(net, theta, **penalty):
    """θ after ten epochs of short steps."""
    optimiser = StochasticHessianFree(
        objective=net,
        theta=theta,
        preconditioner=KFACPreconditioner(),
        sampling=FixedSampling(0.5, 0.5),
        annealing=Linear(),
        horizon=Horizon(epochs=10),
        damping=0.1,
        **penalty,
    )
    while not optimiser.finished:
        optimiser.step()
    return optimiser.theta


def test_short_steps_shrink_weights_too(net, theta, on_weights):
    def trained(strength):
        return float((by_short_steps(net, theta, weight_decay=strength) * on_weights).norm())

    assert trained(0.05) < 0.7 * trained(0.0)


def moved(net, theta, everything, pull):
    """How far θ gets from its start, and the loss there."""
    stopping = Stopping(max_iterations=6, patience=0)
    hf = hessian_free(net, theta, acceptance=OnTraining(), stopping=stopping, pull=pull)
    while not hf.finished:
        hf.step()
    return float((hf.theta - theta).norm()), net.loss(hf.theta, everything).mean


def test_a_stronger_pull_keeps_theta_nearer_its_start(net, theta, everything):
    pulls = (0.03, 0.3, 3)
    ways, losses = zip(*(moved(net, theta, everything, p) for p in pulls), strict=True)
    assert list(ways) == sorted(ways, reverse=True) and ways[-1] < 0.3 * ways[0]
    assert list(losses) == sorted(losses)


def test_a_resumed_run_is_pulled_to_the_same_place(net, theta):
    """The centre is what the optimiser is made with, not what a checkpoint holds."""

    def made():
        return hessian_free(net, theta, acceptance=OnTraining(), pull=RHO)

    whole, first, second = made(), made(), made()
    for _ in range(3):
        whole.step()
        first.step()
    second.load_state_dict(first.state_dict())
    assert not torch.equal(second.theta, theta)
    for hf in (whole, second):
        hf.step()
    assert torch.equal(whole.theta, second.theta)


def test_short_steps_are_pulled_too(net, theta):
    def way(strength):
        return float((by_short_steps(net, theta, pull=strength) - theta).norm())

    assert way(1.0) < 0.5 * way(0.0)


@pytest.mark.parametrize("trainer", ["hf", "hf_sequence", "hf_stochastic"])
def test_the_keys_are_there_and_off(trainer):
    config = load_config(["+recipe=prompts", f"trainer={trainer}"])
    assert config.trainer.weight_decay == config.trainer.pull == config.trainer.pull_fisher == 0.0


@pytest.mark.parametrize("trainer", ["sgd", "adamw", "nadamw", "muon", "lbfgs"])
def test_trainers_without_a_pull_refuse_it_by_name(trainer):
    with pytest.raises(InputError, match=r"trainer\.pull"):
        load_config(["+recipe=prompts", f"trainer={trainer}", "trainer.pull=0.1"])
