"""Learning-rate schedules."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.baselines.schedules import Annealed, Constant, Cosine, EpochJudge, Linear, Newbob
from asr_hf.runtime.errors import InputError


def run_newbob(losses: list[float]) -> tuple[list[float], list[bool], bool]:
    """Factor of each epoch, which epochs were accepted, and whether training ended."""
    schedule, best = Newbob(), losses[0]
    factors, accepted = [], []
    for loss in losses[1:]:
        assert not schedule.finished
        factors.append(schedule.factor(0.0))
        accepted.append(schedule.judge(best, loss))
        best = loss if accepted[-1] else best
    return factors, accepted, schedule.finished


def test_newbob_follows_kaldi() -> None:
    # Gains of 20 %, 10 %, 0.5 % (halving sets in), 5 % (halved all the same), 0.05 % (the end).
    losses = [2.0, 1.6, 1.44, 1.4328, 1.36116, 1.36048]
    factors, accepted, finished = run_newbob(losses)
    assert factors == [1.0, 1.0, 1.0, 0.5, 0.25]
    assert all(accepted)
    assert finished


def test_newbob_rejects_a_rise_and_goes_on() -> None:
    factors, accepted, finished = run_newbob([2.0, 3.0, 1.5])
    assert accepted == [False, True]
    assert factors == [1.0, 0.5]
    assert not finished


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_newbob_rejects_what_is_not_finite(bad: float) -> None:
    assert run_newbob([2.0, bad])[1] == [False]


def test_newbob_without_any_gain_ends_after_two_epochs() -> None:
    assert run_newbob([2.0, 2.0, 2.0])[2]


ANNEALED = [Linear, Cosine]


@pytest.mark.parametrize("kind", ANNEALED)
@given(progress=st.floats(0.0, 1.0), warm_up=st.floats(0.0, 0.99))
def test_annealed_rates_stay_between_nothing_and_the_base_rate(
    kind: type[Annealed], progress: float, warm_up: float
) -> None:
    assert 0.0 <= kind(warm_up).factor(progress) <= 1.0


@pytest.mark.parametrize("kind", ANNEALED)
def test_annealed_rates_at_their_corners(kind: type[Annealed]) -> None:
    assert kind(0.0).factor(0.0) == 1.0
    assert kind(0.0).factor(0.5) == pytest.approx(0.5)
    assert kind(0.0).factor(1.0) == pytest.approx(0.0)
    assert kind(0.2).factor(0.1) == pytest.approx(0.5)
    assert kind(0.2).factor(0.2) == pytest.approx(1.0)
    assert kind(0.2).factor(0.6) == pytest.approx(0.5)
    assert kind().warm_up == 0.03


@given(progress=st.floats(0.0, 1.0), warm_up=st.floats(0.001, 0.99))
def test_annealed_rates_have_their_closed_forms(progress: float, warm_up: float) -> None:
    done = max(0.0, (progress - warm_up) / (1 - warm_up))
    rise = min(1.0, progress / warm_up)
    assert Linear(warm_up).factor(progress) == pytest.approx(min(rise, 1 - done))
    cosine = math.cos(math.pi * done / 2) ** 2
    assert Cosine(warm_up).factor(progress) == pytest.approx(min(rise, cosine), abs=1e-12)


def test_constant_never_ends_training() -> None:
    assert not Constant().finished
    assert Constant().factor(0.7) == 1.0


def test_only_newbob_judges_epochs() -> None:
    assert isinstance(Newbob(), EpochJudge)
    assert not isinstance(Constant(), EpochJudge)
    assert not isinstance(Linear(), EpochJudge)
    assert not isinstance(Cosine(), EpochJudge)


@pytest.mark.parametrize(
    "settings", [{"start_below": 0.0}, {"decay": 1.0}, {"decay": 0.0}], ids=str
)
def test_newbob_settings_out_of_range(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="schedule"):
        Newbob(**settings)


@pytest.mark.parametrize("kind", ANNEALED)
@pytest.mark.parametrize("warm_up", [-0.1, 1.0])
def test_warm_up_out_of_range(kind: type[Annealed], warm_up: float) -> None:
    with pytest.raises(InputError, match="warm_up"):
        kind(warm_up)
