"""The model of an iteration by many workers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks.scaling_model import Case, Link, Machine, iteration, state_bytes

LINK = Link(bandwidth=100.0, latency=1.0)
MACHINE = Machine(1.0, 2.0, 0.5, 0.25, 1000.0, LINK, LINK, node=4)
CASE = Case(10, gradient=8, curvature=4, heldout=2, steps=3, losses=1, pairs=5)


def test_a_ring_by_hand() -> None:
    # 2 * 3/4 * 40 bytes at 100 a second, and 2 * log2(4) latencies.
    assert LINK.all_reduce(40, 4) == pytest.approx(0.6 + 4)


def test_nodes_add_up_inside_then_between() -> None:
    assert MACHINE.all_reduce(40, 8) == pytest.approx((0.6 + 4) + (0.4 + 2))


def test_one_worker_sends_nothing_and_computes_everything() -> None:
    spent = iteration(MACHINE, CASE, 1)
    assert spent.messages == 0
    assert spent.compute == pytest.approx(8 * 1 + 4 * 0.5 + 3 * 4 * 2 + 2 * 0.5 + 6 * 0.25)
    assert spent.vectors == pytest.approx(3 * (20 + 20) * 40 / 1000)
    assert iteration(MACHINE, CASE, 1, sharded=True) == spent


def test_infinite_bandwidth_leaves_latency() -> None:
    link = Link(math.inf, 1.0)
    machine = replace(MACHINE, inside=link, outside=link)
    # Gradient, three products and a loss: 2 log2(2) each.
    assert iteration(machine, CASE, 2).messages == pytest.approx(5 * 2)


def test_a_free_network_shares_all_but_vectors() -> None:
    link = Link(math.inf, 0.0)
    machine = replace(MACHINE, inside=link, outside=link, pass_overhead=0.0)
    one, two = iteration(machine, CASE, 1), iteration(machine, CASE, 2)
    assert two.compute == pytest.approx(one.compute / 2)
    assert two.vectors == one.vectors
    assert iteration(machine, CASE, 2, sharded=True).total == pytest.approx(one.total / 2)


def test_no_worker_has_less_than_a_piece() -> None:
    case = replace(CASE, unit=3)
    assert case.share(8, 100) == 3
    assert case.share(2, 100) == 2


def test_shards_of_the_state() -> None:
    case = replace(CASE, kept=3)
    assert state_bytes(case, 4, sharded=False) == 40 * (7 + 3 + 20)
    assert state_bytes(case, 4, sharded=True) == 10 * (7 + 3 + 20)
