"""What unit gradients say of a sample's size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asr_hf.curvature.unit_moments import UnitMoments
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.statistics import SampleStatistics


def test_spread_predicts_the_variance_of_sampled_gradients(net, theta, everything):
    frames = net.unit_frames(Split.TRAIN)
    _, total = net.gradient(theta, everything)
    mean = total / frames.sum()
    statistics = SampleStatistics(net, theta, everything, mean, 0)
    moments = statistics.accumulate(UnitMoments(mean, net.space))
    rng = np.random.default_rng(0)
    errors, sizes = [], []
    for _ in range(400):
        units = rng.integers(0, 40, size=20)
        loss, g = net.gradient(theta, Sample(Split.TRAIN, units))
        errors.append(float((g / loss.num_frames - mean).square().sum()))
        sizes.append(loss.num_frames)
    assert np.mean(errors) == pytest.approx(moments.variance / np.mean(sizes), rel=0.2)
    by_hand = sum(
        net.gradient(theta, Sample(Split.TRAIN, np.array([u])))[1].square() for u in range(40)
    )
    torch.testing.assert_close(moments.squares, by_hand / frames.sum())
