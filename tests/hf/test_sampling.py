from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.hf.sampling.base import GradientSpread, UnitSampler
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.sampling.geometric import GeometricSampling
from asr_hf.hf.sampling.variance import VarianceSampling


@given(
    frames=st.lists(st.integers(1, 50), min_size=1, max_size=40),
    share=st.floats(0.01, 1.0),
    seed=st.integers(0, 5),
)
def test_draws_use_up_the_data_before_any_unit_comes_again(frames, share, seed):
    sampler = UnitSampler(np.array(frames), seed)
    wanted = max(1, int(share * sum(frames)))
    seen: list[int] = []
    while len(seen) < len(frames):
        drawn = sampler.draw(wanted).units.tolist()
        assert sum(frames[u] for u in drawn) >= min(wanted, sum(frames))
        assert len(set(drawn)) == len(drawn)
        seen += drawn
    counts = np.bincount(seen, minlength=len(frames))
    assert counts.min() >= 1 and counts.max() <= 2


def test_draws_depend_only_on_seed_and_position():
    frames = np.arange(1, 30)
    one, two = UnitSampler(frames, 3), UnitSampler(frames, 3)
    for _ in range(4):
        one.draw(60)
    two.position = one.position
    assert one.draw(60).units.tolist() == two.draw(60).units.tolist()
    assert one.draw(60).units.tolist() != UnitSampler(frames, 4).draw(60).units.tolist()


def test_curvature_sample_lies_inside_the_gradient_sample():
    sampler = UnitSampler(np.full(100, 7), 0)
    sample = sampler.draw(350)
    inner = sampler.subset(sample, 70, salt=1)
    assert set(inner.units) <= set(sample.units)
    assert len(inner.units) == 10
    assert sampler.subset(sample, 70, salt=2).units.tolist() != inner.units.tolist()
    assert sampler.subset(sample, 10**9, salt=1).units.tolist() == sample.units.tolist()


def test_geometric_sizes_follow_the_formula_and_stop_at_their_bounds():
    schedule = GeometricSampling(
        gradient=0.1, gradient_growth=1.5, curvature=0.01, curvature_growth=2.0, curvature_most=0.04
    )
    sizes = [schedule.sizes(k, 100_000) for k in range(8)]
    expected = [min(100_000, round(0.1 * 1.5**k * 100_000)) for k in range(8)]
    assert [s.gradient for s in sizes] == expected
    assert [s.curvature for s in sizes] == [1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000]
    assert schedule.sizes(10**6, 100_000).gradient == 100_000


def test_variance_test_grows_to_the_size_byrd_asks_for():
    schedule = VarianceSampling(gradient=0.01, theta=0.5, growth_most=10.0)
    assert schedule.sizes(0, 100_000).gradient == 1000
    schedule.learn(GradientSpread(squared_norm=1.0, variance=100.0), 1000)
    assert schedule.sizes(1, 100_000).gradient == 1000
    schedule.learn(GradientSpread(squared_norm=1.0, variance=1000.0), 1000)
    assert schedule.sizes(2, 100_000).gradient == 4000
    schedule.learn(GradientSpread(squared_norm=1e-6, variance=1000.0), 4000)
    assert schedule.sizes(3, 100_000).gradient == 40_000


def test_variance_sizes_above_one_are_numbers_of_frames():
    schedule = VarianceSampling(gradient=4096, curvature=0.25, curvature_most=2048, theta=0.5)
    first = schedule.sizes(0, 100_000)
    assert (first.gradient, first.curvature) == (4096, 1024)
    schedule.learn(GradientSpread(squared_norm=1.0, variance=1e9), 4096)
    schedule.learn(GradientSpread(squared_norm=1.0, variance=1e9), 8192)
    grown = schedule.sizes(2, 100_000)
    assert (grown.gradient, grown.curvature) == (16_384, 2048)
    assert schedule.max_curvature(100_000) == 2048
    assert schedule.max_curvature(1000) == 1000


def test_variance_state_survives():
    one, two = VarianceSampling(), VarianceSampling()
    one.learn(GradientSpread(1e-3, 5.0), 500)
    two.load_state_dict(one.state_dict())
    assert one.sizes(1, 10**6) == two.sizes(1, 10**6)


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.5])
def test_shares_outside_their_range_are_refused(bad):
    with pytest.raises(ValueError, match="share"):
        FixedSampling(gradient=bad)
