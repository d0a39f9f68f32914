from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.hf.annealing import Constant, Cosine, Linear
from asr_hf.hf.horizon import Horizon

from .options import make, options

SHARES = st.floats(0.0, 1.0)


@pytest.mark.parametrize("option", options("annealing"))
@given(progress=SHARES)
def test_steps_are_shortened_and_never_turned(option, progress):
    assert 0.0 <= make("annealing", option).factor(progress) <= 1.0


@pytest.mark.parametrize("kind", [Linear, Cosine])
def test_the_last_step_is_nothing(kind):
    assert kind().factor(1.0) == pytest.approx(0.0, abs=1e-15)


@given(progress=st.floats(0.1, 1.0))
def test_closed_forms_after_the_warm_up(progress):
    assert Linear(0.1).factor(progress) == pytest.approx(1 - progress)
    expected = (1 + math.cos(math.pi * progress)) / 2
    assert Cosine(0.1).factor(progress) == pytest.approx(expected)
    assert Constant().factor(progress) == 1.0


@given(share=st.floats(0.01, 1.0))
def test_the_warm_up_is_linear(share):
    assert Linear(0.2).factor(0.2 * share) == pytest.approx(share * (1 - 0.2 * share))


def test_without_a_warm_up_the_first_step_is_whole():
    assert Linear(0.0).factor(0.0) == 1.0


def test_a_run_goes_by_epochs_or_by_seconds():
    assert Horizon(epochs=4.0).progress(epochs=1.0, seconds=100.0) == 0.25
    assert Horizon(epochs=4.0, seconds=200.0).progress(epochs=3.0, seconds=100.0) == 0.5
    assert Horizon(epochs=4.0).progress(epochs=9.0, seconds=0.0) == 1.0


@pytest.mark.parametrize("wrong", [{"epochs": 0.0}, {"seconds": 0.0}, {"epochs": -1.0}])
def test_a_horizon_lies_ahead(wrong):
    with pytest.raises(ValueError, match=r"trainer\.horizon"):
        Horizon(**wrong)


@pytest.mark.parametrize("kind", [Linear, Cosine])
def test_a_warm_up_ends_before_the_run(kind):
    with pytest.raises(ValueError, match=r"annealing\.warm_up"):
        kind(warm_up=1.0)
