"""Which rounds count, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.runtime.errors import RunError
from benchmarks import rounds as module
from benchmarks.busy import covered
from benchmarks.iteration import summarise
from benchmarks.rounds import Round, Rounds, Spread, interleave, valid

SECONDS = st.floats(1e-3, 1e3)
CPU = torch.device("cpu")


def a_round(before: float, after: float | None = None, **seconds: float) -> Round:
    return Round(seconds, (before, before if after is None else after))


@given(st.lists(SECONDS, min_size=1, max_size=20))
def test_spread_agrees_with_numpy(values: list[float]) -> None:
    spread = Spread.of(values)
    expected = np.percentile(values, [50, 25, 75])
    np.testing.assert_allclose([spread.median, spread.q1, spread.q3], expected, rtol=1e-12)


def test_no_values_have_no_spread() -> None:
    with pytest.raises(ValueError, match="no values"):
        Spread.of([])


@pytest.mark.parametrize("after", [False, True])
def test_a_round_is_void_when_its_gemms_are_slow_at_either_end(after: bool) -> None:
    slow = a_round(1.0, 1.2) if after else a_round(1.2, 1.0)
    assert valid([a_round(1.0), slow, a_round(1.0), a_round(1.05)]) == [True, False, True, True]


def test_the_bound_is_ten_per_cent_of_the_rate() -> None:
    # The median is 1 s: a rate of 0.9 takes 1.1111 s.
    others = [a_round(1.0)] * 4
    assert valid([*others, a_round(1.110)])[-1]
    assert not valid([*others, a_round(1.112)])[-1]


def test_faster_gemms_void_nothing() -> None:
    assert all(valid([a_round(1.0), a_round(1.0), a_round(0.5)]))


@given(st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=12), SECONDS)
def test_validity_does_not_depend_on_the_unit_of_time(
    times: list[tuple[float, float]], power: float
) -> None:
    scale = 2.0 ** round(np.log2(power))
    rounds = [a_round(*pair) for pair in times]
    scaled = [a_round(a * scale, b * scale) for a, b in times]
    assert valid(rounds) == valid(scaled)


def test_figures_leave_void_rounds_out_and_divide_within_a_round() -> None:
    rounds = Rounds(
        [
            a_round(1.0, ours=2.0, theirs=4.0),
            a_round(9.0, ours=1.0, theirs=99.0),
            a_round(1.0, ours=4.0, theirs=12.0),
            a_round(1.0, ours=1.0, theirs=4.0),
        ]
    )
    assert rounds.counts() == {"valid": 3, "void": 1}
    # Ratios 2, 3, 4; the ratio of the medians would be 2.
    assert rounds.ratio("theirs", "ours").median == 3.0
    assert rounds.gemm_share("ours").median == 0.5


class Clock:
    """Time that passes only when a task says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def task(self, *seconds: float) -> Callable[[], None]:
        """Takes these seconds on its first calls, and the last of them from then on."""
        pending = list(seconds)

        def run() -> None:
            self.now += pending.pop(0) if len(pending) > 1 else pending[0]

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock.now)
    yield clock


def test_void_rounds_are_repeated(clock: Clock) -> None:
    # Warm-up, then before and after of each round: the second is slow.
    reference = clock.task(1, 1, 1, 2, 1, 1)
    made = interleave({"a": clock.task(3)}, reference, CPU, rounds=3, max_rounds=9, desc="test")
    assert made.counts() == {"valid": 3, "void": 1}


def test_rounds_are_bounded(clock: Clock) -> None:
    # Before and after differ by half in every round but the first.
    reference = clock.task(1, 1, 1, *[1, 2] * 9)
    made = interleave({"a": clock.task(3)}, reference, CPU, rounds=4, max_rounds=6, desc="test")
    assert made.counts() == {"valid": 1, "void": 5}


def test_a_machine_without_one_steady_round_is_an_error(clock: Clock) -> None:
    reference = clock.task(1, *[1, 2] * 9)
    with pytest.raises(RunError, match="each of 4 rounds"):
        interleave({"a": clock.task(3)}, reference, CPU, rounds=2, max_rounds=4, desc="test")


def test_short_tasks_are_repeated_and_read_per_call(clock: Clock) -> None:
    tasks = {"short": clock.task(0.001), "long": clock.task(2.0)}
    made = interleave(tasks, clock.task(1), CPU, rounds=2, max_rounds=2, desc="test")
    assert made.seconds("short").median == pytest.approx(0.001)
    assert made.seconds("long").median == pytest.approx(2.0)


def test_the_order_turns(clock: Clock) -> None:
    order: list[str] = []

    def task(name: str) -> Callable[[], None]:
        def run() -> None:
            order.append(name)
            clock.now += 1.0

        return run

    tasks = {name: task(name) for name in "abc"}
    interleave(tasks, clock.task(1), CPU, rounds=3, max_rounds=3, desc="test", repeat=False)
    assert "".join(order) == "abcbcacab"


def test_overhead_is_what_no_pass_took() -> None:
    phases = [{"gradient": 3.0, "products": 5.0, "loss": 1.0}]
    found = summarise(phases, [10.0])
    assert found["overhead"]["median"] == pytest.approx(0.1)
    assert found["seconds"]["rest"]["median"] == pytest.approx(1.0)
    assert found["seconds"]["curvature_setup"]["median"] == 0.0


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=12))
def test_covered_time_counts_overlaps_once(pairs: list[tuple[int, int]]) -> None:
    intervals = [(min(p), max(p)) for p in pairs]
    seconds = {second for a, b in intervals for second in range(a, b)}
    assert covered(intervals) == len(seconds)
