"""Axes and numbers."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.report.scale import (
    duration,
    fit,
    readable_top,
    si,
    tick_labels,
    time_unit,
    top_of_start,
)

finite = st.floats(-1e12, 1e12, allow_subnormal=False)
positive = st.floats(1e-9, 1e12)


@given(st.lists(finite, min_size=1, max_size=20))
def test_a_linear_scale_holds_every_value_and_keeps_their_order(values: list[float]) -> None:
    scale = fit(values, 200.0, 10.0)
    assert all(10.0 - 1e-6 <= scale(value) <= 200.0 + 1e-6 for value in values)
    ordered = [scale(value) for value in sorted(values)]
    assert ordered == sorted(ordered, reverse=True)


@given(st.lists(positive, min_size=1, max_size=20))
def test_a_logarithmic_scale_holds_every_value_and_keeps_ratios(values: list[float]) -> None:
    scale = fit(values, 0.0, 100.0, logarithmic=True)
    assert all(-1e-6 <= scale(value) <= 100.0 + 1e-6 for value in values)
    middle = math.sqrt(scale.low * scale.high)
    assert scale(middle) == pytest.approx(50.0)


@given(st.lists(finite, min_size=1, max_size=20), st.booleans())
def test_ticks_lie_inside_evenly_and_are_few(values: list[float], from_zero: bool) -> None:
    scale = fit(values, 0.0, 100.0, from_zero=from_zero)
    ticks = scale.ticks()
    span = scale.high - scale.low
    assert 2 <= len(ticks) <= 11
    assert all(scale.low - 1e-6 * span <= tick <= scale.high + 1e-6 * span for tick in ticks)
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    assert max(steps) - min(steps) <= 1e-6 * span


@given(st.lists(positive, min_size=1, max_size=20))
def test_logarithmic_ticks_lie_inside(values: list[float]) -> None:
    scale = fit(values, 0.0, 100.0, logarithmic=True)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 10
    assert all(scale.low <= tick <= scale.high for tick in ticks)


def test_a_scale_from_zero_starts_there() -> None:
    assert fit([3.0, 7.0], 0.0, 100.0, from_zero=True)(0.0) == 0.0


@pytest.mark.parametrize("values", [[], [0.0], [5.0, 5.0]])
def test_degenerate_values_still_give_a_scale(values: list[float]) -> None:
    for scale in (fit(values, 0.0, 1.0), fit(values, 0.0, 1.0, logarithmic=True)):
        assert scale.high > scale.low
        assert scale.ticks()


def test_a_steep_start_is_cut_and_a_gentle_one_is_not() -> None:
    top = readable_top([10.0, 3.0, 2.0, 1.5, 1.4, 1.3, 1.2, 1.1, 1.0])
    assert top is not None
    assert 1.4 < top < 10.0
    assert readable_top([3.0, 2.0, 1.0]) is None
    assert readable_top([2.0, 2.0]) is None
    assert readable_top([]) is None


def test_only_the_start_of_a_curve_is_cut() -> None:
    falling = [10.0, 3.0, 2.0, 1.5, 1.4, 1.3, 1.2, 1.1, 1.0]
    assert top_of_start([falling]) == readable_top(falling)
    # It rises again to where a fall alone would be cut.
    assert top_of_start([[*falling, 4.0]]) == 4.0
    assert top_of_start([falling, [9.0, 8.0, 11.0]]) is None
    assert top_of_start([[], [2.0]]) is None


@given(st.lists(finite, min_size=1, max_size=20), st.booleans())
def test_whole_ticks_are_whole(values: list[float], from_zero: bool) -> None:
    ticks = fit([*values, min(values) + 3], 0.0, 100.0, from_zero=from_zero).ticks(6, whole=True)
    assert ticks and all(tick == round(tick) for tick in ticks)


@given(st.floats(-1e6, 1e6), st.floats(1.0, 1e6))
def test_labels_tell_ticks_apart(low: float, span: float) -> None:
    ticks = fit([low, low + span], 0.0, 100.0).ticks()
    labels = tick_labels(ticks)
    assert len(set(labels)) == len(ticks)


def test_small_ticks_are_no_zeros() -> None:
    assert tick_labels([1e-30, 1e-20, 1e-10]) == ["1e-30", "1e-20", "1e-10"]
    assert tick_labels([0.0, 0.00025, 0.0005]) == ["0", "2.5e-4", "5e-4"]
    assert tick_labels([0.19, 0.1905, 0.191]) == ["0.19", "0.1905", "0.191"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.25, "0.25"),
        (12.0, "12"),
        (3400.0, "3.4k"),
        (-120e6, "-120M"),
        (2.5e9, "2.5G"),
        (0.00002, "2e-5"),
        (999_600.0, "1M"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert si(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (8.44, "8.4 s"),
        (200.0, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (7500.0, "2 h 05 min"),
    ],
)
def test_durations_are_written_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_time_is_drawn_in_a_unit_that_fits() -> None:
    assert [time_unit(s)[1] for s in (100.0, 600.0, 20_000.0)] == ["seconds", "minutes", "hours"]
