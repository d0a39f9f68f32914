from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch

from asr_hf.curvature.space import UNSHARDED
from asr_hf.hf.divergence import Divergence
from asr_hf.hf.step_length import ModelLength

from .test_step_length import Quadratic
from .test_stochastic import heldout, run, trainer


def alarms(losses):
    divergence = Divergence()
    return [number for number, loss in enumerate(losses) if divergence.observe(loss)]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("level", [5.0, 0.3, 0.0, -0.3])
def test_noise_and_falling_losses_are_no_divergence(seed, level):
    random = np.random.default_rng(seed)
    falling = level + 4 * np.exp(-np.arange(400) / 30)
    assert not alarms(falling + random.normal(0, 0.2, 400))
    # Losses near zero are skewed.
    assert not alarms(np.exp(random.normal(-6, 1, 400)))


def test_losses_that_grow_from_step_to_step_are():
    random = np.random.default_rng(0)
    losses = random.normal(0.5, 0.08, 60)
    losses[30:] += 0.02 * 2.0 ** np.arange(30)
    first, *_ = alarms(losses)
    assert 33 <= first <= 38
    assert losses[first] < 4


def test_one_bad_sample_is_none_and_is_not_learned():
    losses = [1.0, 1.1, 0.9, 1.0] * 5
    for bad in (10, 14, 15):
        losses[bad] = 50.0
    assert not alarms(losses)
    losses[16] = 50.0
    assert alarms(losses) == [16]


def test_a_slow_rise_is_told_by_the_lowest_losses():
    random = np.random.default_rng(0)
    losses = random.normal(1.0, 0.1, 300) * np.r_[np.ones(100), 1.03 ** np.arange(200)]
    first, *_ = alarms(losses)
    assert losses[first] < 3


@pytest.mark.parametrize("number", [3, 30, 31])
def test_what_is_known_survives(number):
    losses = [1.0, 1.2, 0.8] * 10 + [5.0] * 4
    first, second = Divergence(), Divergence()
    for loss in losses[:number]:
        first.observe(loss)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    rest = losses[number:]
    assert [first.observe(x) for x in rest] == [second.observe(x) for x in rest]


def test_length_is_bounded_after_a_divergence_and_the_bound_rises():
    problem, length = Quadratic(4, 0.1), ModelLength()
    length.measure(problem, problem.g, problem.g, UNSHARDED)
    free = length.value
    length.shorten()
    assert length.value == pytest.approx(free / 2)
    again = ModelLength()
    again.load_state_dict(length.state_dict())
    values = []
    for _ in range(9):
        again.measure(problem, problem.g, problem.g, UNSHARDED)
        values.append(again.value)
    expected = [min(free, free / 2 * 1.1**n) for n in range(1, 10)]
    assert values == pytest.approx(expected)


class Long(ModelLength):
    """Steps that are far too long until they are shortened."""

    def measure(self, *given):
        super().measure(*given)
        self._inverse /= 8


def too_long(net, theta):
    hf = trainer(net, theta, momentum=0.9)
    hf.length = Long()
    return hf


def test_a_run_with_steps_that_are_too_long_ends_well_and_tells(net, theta):
    hf = too_long(net, theta)
    events = run(hf)
    assert 0 < sum(event["diverged"] for event in events) < len(events) / 4
    assert heldout(net, hf.theta) < 0.75 * heldout(net, theta)


def test_such_a_run_resumes_bit_for_bit(net, theta):
    undisturbed = too_long(net, theta)
    events = run(undisturbed)
    first = next(event["iteration"] for event in events if event["diverged"])
    for stop in (first - 1, first, first + 2):
        before, after = too_long(net, theta), too_long(net, torch.zeros_like(theta))
        for _ in range(stop):
            before.step()
        after.load_state_dict(copy.deepcopy(before.state_dict()))
        run(after)
        assert torch.equal(undisturbed.theta, after.theta)
