"""What holds of every objective: its gradient, and the memory that is foretold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asr_hf.baselines.objective import whole
from asr_hf.hf.objective import Sample, Split
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.planning.allocation_probe import measured
from asr_hf.training.planning.pass_memory import Passes

CPU = torch.device("cpu")


def assert_gradient_is_exact(objective: FrameObjective, sample: Sample) -> None:
    """The gradient equals central differences of the loss."""
    theta = objective.model.flat.clone()
    gradient = objective.gradient(theta, sample)[1]
    numeric = torch.zeros_like(theta)
    for i in range(len(theta)):
        step = torch.zeros_like(theta)
        step[i] = 1e-5
        above, below = (objective.loss(theta + s, sample).total for s in (step, -step))
        numeric[i] = (above - below) / 2e-5
    torch.testing.assert_close(gradient, numeric, rtol=1e-6, atol=1e-7)


def assert_sums_hang_on_no_chunk_and_no_share(one: FrameObjective, two: FrameObjective) -> None:
    """Two objectives of the same model, in chunks of other sizes, sum up the same.

    What the first finds of a sample, the second finds of its halves together.
    """
    theta, sample = one.model.flat.clone(), Sample(Split.TRAIN, np.arange(20))
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(0)).double()
    gradient, product = one.gradient(theta, sample)[1], one.curvature(theta, sample).product(v)
    halves = [Sample(Split.TRAIN, u) for u in (sample.units[::2], sample.units[1::2])]
    found = sum(two.gradient(theta, half)[1] for half in halves)
    torch.testing.assert_close(found, gradient, rtol=1e-10, atol=1e-11)
    products = sum(two.curvature(theta, half).product(v) for half in halves)
    torch.testing.assert_close(products, product, rtol=1e-10, atol=1e-11)


def assert_iterations_are_functions_of_their_own(objective: FrameObjective, sample: Sample) -> None:
    """The loss of a sample is the same all through an iteration, and another in the next."""
    theta = objective.model.flat.clone()
    losses: dict[int, set[float]] = {}
    for iteration in (0, 1, 2, 1, 0):
        objective.begin_iteration(iteration)
        losses.setdefault(iteration, set()).add(objective.loss(theta, sample).total)
    assert [len(x) for x in losses.values()] == [1, 1, 1]
    assert len(set.union(*losses.values())) == 3


def assert_memory_is_foretold(objective: FrameObjective, passes: Passes) -> None:
    """Curvature and gradient of all training data take what was predicted from few frames."""
    everything = whole(objective, Split.TRAIN)
    frames = objective.stores[Split.TRAIN].num_frames
    theta = objective.model.flat.detach().clone()
    with objective.in_one_chunk():
        with measured(CPU) as usage:
            held = objective.curvature(theta, everything)
        assert usage.held == pytest.approx(passes.kept.at(frames), rel=0.02)
        with measured(CPU) as usage:
            objective.gradient(theta, everything)
        assert usage.peak == pytest.approx(passes.gradient.at(frames), rel=0.05)
    del held
