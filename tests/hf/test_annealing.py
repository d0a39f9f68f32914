from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.hf.annealing import Constant, Cosine, Linear
from asr_hf.hf.horizon import Horizon
from asr_hf.hf.self_starting import SelfStarting

from .options import make, options

SHARES = st.floats(0.0, 1.0)


@pytest.mark.parametrize("option", options("annealing"))
@given(progress=SHARES)
def test_steps_are_shortened_and_never_turned(option, progress):
    assert 0.0 <= make("annealing", option).factor(progress) <= 1.0


@pytest.mark.parametrize("kind", [Linear, Cosine])
def test_the_last_step_is_nothing(kind):
    assert kind().factor(1.0) == pytest.approx(0.0, abs=1e-15)


@given(progress=SHARES)
def test_closed_forms(progress):
    assert Linear().factor(progress) == pytest.approx(1 - progress)
    assert Cosine().factor(progress) == pytest.approx((1 + math.cos(math.pi * progress)) / 2)
    assert Constant().factor(progress) == 1.0


def test_a_run_goes_by_epochs_or_by_seconds():
    assert Horizon(epochs=4.0).progress(epochs=1.0, seconds=100.0) == 0.25
    assert Horizon(epochs=4.0, seconds=200.0).progress(epochs=3.0, seconds=100.0) == 0.5
    assert Horizon(epochs=4.0).progress(epochs=9.0, seconds=0.0) == 1.0


@pytest.mark.parametrize("wrong", [{"epochs": 0.0}, {"seconds": 0.0}, {"epochs": -1.0}])
def test_a_horizon_lies_ahead(wrong):
    with pytest.raises(ValueError, match=r"trainer\.horizon"):
        Horizon(**wrong)


def test_steps_shrink_once_the_loss_hardly_falls_and_then_to_nothing():
    """Losses fall as 1 + 1 / p, then stand still from p = 0.2 on."""
    annealing, progress, started = SelfStarting(gain=0.03, tail=0.5, least=0.02), 0.0, None
    while not annealing.finished(progress):
        progress += 0.001
        annealing.observe(progress, 1.0 + 1.0 / min(progress, 0.2))
        if annealing.factor(progress + 0.001) < 1.0 and started is None:
            started = progress
    # At p = 0.4 both windows lie where the loss stands still.
    assert 0.2 < started <= 0.401
    assert progress == pytest.approx(1.5 * started, abs=0.002)


@given(scale=st.floats(0.01, 100.0))
def test_a_fall_without_a_scale_never_starts_the_shrinking(scale):
    """A loss p^-0.5 gains the same in every octave of the run."""
    annealing = SelfStarting()
    for step in range(1, 200):
        annealing.observe(step / 200, scale * (step / 200) ** -0.5)
        assert annealing.factor(step / 200) == 1.0


def test_a_restored_annealing_goes_on_where_it_was():
    one, two = SelfStarting(), SelfStarting()
    for step in range(1, 100):
        one.observe(step / 100, 1.0 + max(0.0, 0.5 - step / 100))
        two.load_state_dict(json.loads(json.dumps(one.state_dict())))
        assert one.factor(step / 100) == two.factor(step / 100)
    assert two.start is not None


@pytest.mark.parametrize("wrong", [{"gain": 0.0}, {"tail": 0.0}, {"least": 1.0}])
def test_settings_of_the_self_starting_are_checked(wrong):
    with pytest.raises(ValueError, match="annealing"):
        SelfStarting(**wrong)
