"""Statistics that preconditioners and schedules bring: asked for once, summed by anybody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from asr_hf.curvature.statistic import Sums
from asr_hf.curvature.unit_moments import UnitMoments
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.preconditioners.diagonal import DiagonalPreconditioner
from asr_hf.hf.preconditioners.kfac import FisherFactors
from asr_hf.hf.preconditioners.shampoo import GradientFactors
from asr_hf.hf.sampling.variance import VarianceSampling
from asr_hf.hf.statistics import SampleStatistics


class Counting:
    """Counts the passes that an objective makes for statistics."""

    def __init__(self, net):
        self._net, self.passes = net, 0
        self.space, self.layers, self.unit_frames = net.space, net.layers, net.unit_frames

    def accumulate(self, theta, sample, statistic):
        self.passes += 1
        return self._net.accumulate(theta, sample, statistic)


def test_the_variance_test_and_martens_diagonal_share_a_pass(net, theta, everything):
    counting = Counting(net)
    statistics = SampleStatistics(counting, theta, everything, torch.ones_like(theta), 0)
    VarianceSampling().observe(statistics, 100)
    DiagonalPreconditioner().prepare(0.1, statistics)
    assert counting.passes == 1
    statistics.accumulate(FisherFactors(net.layers, 1))
    statistics.accumulate(FisherFactors(net.layers, 2))
    statistics.accumulate(FisherFactors(net.layers, 1))
    assert counting.passes == 3


@pytest.mark.parametrize("kind", [UnitMoments, GradientFactors])
def test_sums_of_two_halves_add_up_to_those_of_the_whole(net, theta, everything, kind):
    """What lets processes share a sample, whatever the statistic is."""
    made = {
        UnitMoments: UnitMoments(torch.linspace(-1, 1, len(theta), dtype=theta.dtype), net.space),
        GradientFactors: GradientFactors(net.layers),
    }[kind]
    halves = [Sample(Split.TRAIN, units) for units in np.array_split(everything.units, 2)]
    whole = net.accumulate(theta, everything, made)
    one, two = (net.accumulate(theta, half, made) for half in halves)
    for name in ("vectors", "others"):
        sums = zip(getattr(one, name), getattr(two, name), getattr(whole, name), strict=True)
        for a, b, total in sums:
            torch.testing.assert_close(a + b, total)


@dataclass(frozen=True)
class LargestUnits:
    """Something new: how many units have a gradient longer than a bound."""

    bound: float

    def sums(self, passes):
        longer = sum(float(g.norm() > self.bound) for _, g in passes.unit_gradients())
        return Sums(others=[torch.tensor(longer)])

    def finish(self, totals, frames):
        return int(totals.others[0]), frames


def test_a_statistic_of_one_s_own_needs_no_other_place(net, theta, everything):
    statistics = SampleStatistics(net, theta, everything, theta, 0)
    norms = sorted(float(g.norm()) for _, g in net.unit_gradients(theta, everything))
    frames = net.unit_frames(Split.TRAIN).sum()
    bound = (norms[-4] + norms[-3]) / 2
    assert statistics.accumulate(LargestUnits(bound)) == (3, frames)
