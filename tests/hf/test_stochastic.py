from __future__ import annotations

import copy

import pytest
import torch

from asr_hf.hf.annealing import Constant, Linear
from asr_hf.hf.horizon import Horizon
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.preconditioners.kfac import KFACPreconditioner
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.self_starting import SelfStarting
from asr_hf.hf.stochastic import StochasticHessianFree
from asr_hf.training.distributed.replica_consistency import checksums

from .options import make, options


def trainer(net, theta, **changes):
    settings = {
        "objective": net,
        "theta": theta,
        "preconditioner": KFACPreconditioner(refresh_every=1),
        "sampling": FixedSampling(gradient=32, curvature=64),
        "annealing": Linear(),
        "horizon": Horizon(epochs=30),
        "damping": 1e-2,
        "steps": 4,
        "seed": 3,
    }
    return StochasticHessianFree(**(settings | changes))


def run(hf):
    events = []
    while not hf.finished:
        events.append(hf.step())
    return events


def heldout(net, theta):
    units = torch.arange(len(net.unit_frames(Split.HELDOUT))).numpy()
    return net.loss(theta, Sample(Split.HELDOUT, units)).mean


@pytest.mark.parametrize("option", options("preconditioner"))
def test_loss_falls_under_every_preconditioner(net, theta, option):
    hf = trainer(net, theta, preconditioner=make("preconditioner", option))
    run(hf)
    assert heldout(net, hf.estimate) < 0.75 * heldout(net, theta)


@pytest.mark.parametrize("option", options("annealing"))
@pytest.mark.parametrize("sampling", options("sampling"))
def test_loss_falls_with_every_annealing_and_sampling(net, theta, option, sampling):
    hf = trainer(
        net, theta, annealing=make("annealing", option), sampling=make("sampling", sampling)
    )
    run(hf)
    assert heldout(net, hf.estimate) < 0.75 * heldout(net, theta)


def test_the_state_has_nothing_of_the_process_s_own_clock(net, theta):
    first, second = trainer(net, theta), trainer(net, theta)
    for hf in (first, second):
        hf.step()
    assert first.stopwatch.seconds != second.stopwatch.seconds
    assert checksums(first.state_dict()) == checksums(second.state_dict())


@pytest.mark.parametrize("invert_every", [1, 3])
@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_a_resumed_run_equals_the_undisturbed_one_bit_for_bit(net, theta, invert_every, averaging):
    def start(at):
        kfac = KFACPreconditioner(refresh_every=1, invert_every=invert_every)
        return trainer(net, at, preconditioner=kfac, averaging=averaging)

    undisturbed, first = start(theta), start(theta)
    run(undisturbed)
    for _ in range(7):
        first.step()
    state = copy.deepcopy(first.state_dict())
    second = start(torch.zeros_like(theta))
    second.load_state_dict(state)
    run(second)
    assert torch.equal(undisturbed.theta, second.theta)
    assert torch.equal(undisturbed.estimate, second.estimate)


def test_a_run_that_anneals_itself_ends_before_its_horizon(net, theta):
    def start(at):
        return trainer(net, at, annealing=SelfStarting(gain=0.1), horizon=Horizon(epochs=400))

    undisturbed, first = start(theta), start(theta)
    events = run(undisturbed)
    assert undisturbed.progress < 0.9 and not undisturbed.limit
    assert heldout(net, undisturbed.theta) < 0.75 * heldout(net, theta)
    for _ in range(len(events) - 3):
        first.step()
    second = start(torch.zeros_like(theta))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    run(second)
    assert torch.equal(undisturbed.theta, second.theta)


def test_a_step_is_its_definition(net, theta):
    hf = trainer(net, theta, momentum=0.5, steps=2, warm_up=2, annealing=Constant())
    assert hf.step()["gradient_frames"] < hf.step()["gradient_frames"], "first one step, then two"
    by_hand, velocity = theta.clone(), torch.zeros_like(theta)
    twin = trainer(net, theta, momentum=0.5, steps=2, warm_up=2, annealing=Constant())
    for count in (1, 2):
        for number in range(count):
            sample = twin.sampler.draw(32)
            loss, gradient = net.gradient(by_hand, sample)
            gradient /= loss.num_frames
            if number == 0:
                twin.theta.copy_(by_hand)
                twin.iteration = count - 1
                sizes = twin.sampling.sizes(twin.iteration, twin.sampler.total)
                twin._learn_curvature(sizes, gradient, loss.num_frames)
            direction = twin.preconditioner.apply(gradient)
            velocity = 0.5 * velocity + direction
            warmth = 0.5 if count == 1 else 1.0
            step = 0.5 * twin.length.value * warmth
            by_hand = by_hand - step * (direction + 0.5 * velocity)
    torch.testing.assert_close(hf.theta, by_hand, rtol=1e-12, atol=1e-14)


def test_steps_warm_up_over_their_number_or_a_tenth_of_the_run(net, theta):
    long = trainer(net, theta, warm_up=10, steps=1, annealing=Constant(), horizon=Horizon(1e6))
    factors = [long.step()["annealing"] for _ in range(12)]
    assert factors == pytest.approx([n / 10 for n in range(1, 11)] + [1.0, 1.0], rel=1e-6)
    # Iterations have 1, 2, 4, 5, 5, ... steps; an event has the factor of the last one.
    many = trainer(net, theta, warm_up=16, steps=5, annealing=Constant(), horizon=Horizon(1e6))
    taken = [1, 3, 7, 12, 17]
    factors = [many.step()["annealing"] for _ in taken]
    assert factors == pytest.approx([min(1.0, n / 16) for n in taken], rel=1e-6)
    short = trainer(net, theta, warm_up=1000, steps=1, annealing=Constant(), horizon=Horizon(10))
    while short.progress <= 0.1:
        event = short.step()
    assert event["annealing"] < 1.0
    assert short.step()["annealing"] == 1.0


def test_passes_are_forecast(net, theta):
    hf = trainer(net, theta, horizon=Horizon(epochs=3))
    costs, events = hf.pass_costs(), run(hf)
    assert len(costs) == pytest.approx(len(events), abs=2)
    for cost, event in zip(costs, events[:-1], strict=False):
        frames = event["gradient_frames"] + event["curvature_frames"]
        assert cost.gradient == pytest.approx(frames, rel=0.4)


def test_a_run_of_seconds_ends_by_them(net, theta):
    hf = trainer(net, theta, horizon=Horizon(epochs=1e9, seconds=0.2))
    assert (len(hf.pass_costs()), hf.seconds_given) == (10, 0.2)
    run(hf)
    assert 0.2 <= hf.seconds < 2.0
    assert hf.limit == "trainer.horizon.seconds"


@pytest.mark.parametrize(
    "wrong",
    [{"damping": 0.0}, {"momentum": 1.0}, {"steps": 0}, {"averaging": 1.0}, {"warm_up": -1}],
)
def test_settings_out_of_range_are_refused(net, theta, wrong):
    with pytest.raises(ValueError, match="trainer: needs"):
        trainer(net, theta, **wrong)
