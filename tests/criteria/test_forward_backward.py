"""Sums over paths against going through every one of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_hf.criteria.forward_backward import ForwardBackward
from asr_hf.criteria.lattice_batch import LatticeBatch
from asr_hf.criteria.mmi import MaximumMutualInformation

EXACT = {"rtol": 0.0, "atol": 1e-10}
SEEDS = given(seed=st.integers(0, 10**6))
FEW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def drawn_scores(batch: LatticeBatch, seed: int) -> torch.Tensor:
    return torch.randn(
        len(batch.graph), dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


@FEW
@SEEDS
def test_totals_and_posteriors_equal_enumeration(make_case, seed):
    case = make_case(seed)
    batch = case.targets.lattices
    logits = case.logits.clone().requires_grad_()
    expected, _ = case.path_sums(logits, 0.7, 1.0, lambda frame, label: 0.0)
    scores = MaximumMutualInformation(0.7).scores(case.logits, case.targets)
    paths = ForwardBackward(batch, scores)
    torch.testing.assert_close(paths.totals, expected.detach(), **EXACT)
    torch.testing.assert_close(paths.backward_totals, expected.detach(), **EXACT)
    # d log Z / d logit is κ times the occupancy.
    (by_autograd,) = torch.autograd.grad(expected.sum(), logits)
    found = torch.zeros_like(case.logits)
    where = batch.frame * found.shape[1] + batch.pdf
    found.view(-1).index_add_(0, where, 0.7 * paths.posteriors[: len(where)])
    torch.testing.assert_close(found, by_autograd, **EXACT)


@FEW
@SEEDS
def test_each_frame_is_taken_once(make_case, seed):
    batch = make_case(seed, utterances=5, max_frames=9).targets.lattices
    paths = ForwardBackward(batch, drawn_scores(batch, seed))
    taken = torch.zeros(batch.num_frames, dtype=torch.float64)
    taken.index_add_(0, batch.frame, paths.posteriors[: len(batch.frame)])
    torch.testing.assert_close(taken, torch.ones_like(taken), **EXACT)


@FEW
@SEEDS
def test_the_tangent_is_the_derivative(make_case, seed):
    batch = make_case(seed, max_frames=8).targets.lattices
    scores, direction = drawn_scores(batch, seed), drawn_scores(batch, seed + 1)
    change, totals = ForwardBackward(batch, scores).tangent(direction)
    step = 1e-6
    up, down = (ForwardBackward(batch, scores + s * step * direction) for s in (1, -1))
    slope = (up.posteriors - down.posteriors) / (2 * step)
    torch.testing.assert_close(change, slope, rtol=0.0, atol=1e-8)
    slope = (up.totals - down.totals) / (2 * step)
    torch.testing.assert_close(totals, slope, rtol=0.0, atol=1e-7)


def test_utterances_do_not_touch_one_another(make_case, pack):
    case = make_case(7, utterances=4, max_frames=8)
    together = case.targets.lattices
    scores = drawn_scores(together, 1)
    whole = ForwardBackward(together, scores)
    for u, lattice in enumerate(case.lattices):
        mine = ForwardBackward(pack([lattice]), scores[together.utterance == u])
        torch.testing.assert_close(whole.totals[u], mine.totals[0], **EXACT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forward_and_backward_agree_on_a_long_utterance(long_lattice, pack, dtype):
    batch = pack([long_lattice])
    scores = (batch.graph * 20).to(dtype)
    paths = ForwardBackward(batch, scores)
    torch.testing.assert_close(paths.totals, paths.backward_totals, rtol=1e-12, atol=0.0)
    taken = torch.zeros(batch.num_frames, dtype=torch.float64)
    taken.index_add_(0, batch.frame, paths.posteriors[: len(batch.frame)])
    torch.testing.assert_close(taken, torch.ones_like(taken), rtol=0.0, atol=1e-8)
    # Counting frames: every path has all of them. Sums near -1e5 leave eleven digits.
    ones = torch.zeros_like(batch.graph)
    ones[: len(batch.frame)] = 1.0
    change, totals = paths.tangent(ones)
    assert float(totals) == pytest.approx(5000, rel=1e-9)
    assert float(change.abs().max()) < 1e-5


def test_scores_far_apart_neither_overflow_nor_vanish(make_case):
    batch = make_case(3, max_frames=8).targets.lattices
    paths = ForwardBackward(batch, drawn_scores(batch, 5) * 1e4)
    assert paths.totals.isfinite().all()
    torch.testing.assert_close(paths.totals, paths.backward_totals, rtol=1e-12, atol=0.0)
    assert np.isfinite(paths.posteriors.numpy()).all()
