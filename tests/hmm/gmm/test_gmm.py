from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import norm

from asr_hf.hmm.alignment.mixtures import group_by_pdf
from asr_hf.hmm.gmm.gmm import Gmm, em_step, split, split_targets
from asr_hf.runtime.errors import InputError


def random_gmm(random: np.random.Generator, counts: list[int], dim: int) -> Gmm:
    total = sum(counts)
    weights = np.concatenate([random.dirichlet(np.ones(n)) for n in counts])
    return Gmm(
        np.concatenate([[0], np.cumsum(counts)]),
        weights,
        random.normal(size=(total, dim)),
        random.uniform(0.3, 2, size=(total, dim)),
    )


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 2**32))
def test_scores_equal_scipy(counts, seed):
    random = np.random.default_rng(seed)
    gmm = random_gmm(random, counts, 5)
    x = random.normal(size=(7, 5))
    dense = norm.logpdf(x[:, None], gmm.means, np.sqrt(gmm.variances)).sum(-1) + np.log(gmm.weights)
    expected = np.stack(
        [
            logsumexp(dense[:, a:b], axis=1)
            for a, b in zip(gmm.starts, gmm.starts[1:], strict=False)
        ],
        1,
    )
    np.testing.assert_allclose(gmm.scorer().log_likelihoods(x), expected, rtol=1e-4, atol=1e-4)
    some = np.flatnonzero(random.random(len(counts)) < 0.5)
    if len(some):
        found = gmm.scorer().log_likelihoods(x, some)
        np.testing.assert_allclose(found[:, some], expected[:, some], rtol=1e-4, atol=1e-4)


def test_scores_far_from_every_mean_stay_finite():
    gmm = random_gmm(np.random.default_rng(0), [2, 3], 4)
    assert np.isfinite(gmm.scorer().log_likelihoods(np.full((2, 4), 1e3))).all()


def test_em_of_single_gaussians_gives_moments_and_skips_unlabelled_frames():
    random = np.random.default_rng(1)
    x = random.normal(size=(300, 3)).astype(np.float32)
    labels = random.integers(-1, 2, 300).astype(np.int32)
    gmm = Gmm.single(np.zeros(3), np.ones(3), 3)
    new, occupancy, _ = em_step(gmm, x, *group_by_pdf(labels, 3), np.zeros(3))
    for pdf in (0, 1):
        mine = x[labels == pdf].astype(np.float64)
        np.testing.assert_allclose(new.means[pdf], mine.mean(0), atol=1e-6)
        np.testing.assert_allclose(new.variances[pdf], mine.var(0), atol=1e-6)
        assert occupancy[pdf] == pytest.approx(len(mine))
    np.testing.assert_array_equal(new.means[2], gmm.means[2])


def test_em_never_lowers_the_likelihood():
    random = np.random.default_rng(2)
    centres = np.array([[-3.0, 0], [0, 3], [3, -1]])
    x = (centres[random.integers(0, 3, 600)] + random.normal(size=(600, 2))).astype(np.float32)
    order, bounds = group_by_pdf(np.zeros(600, np.int32), 1)
    gmm = split(Gmm.single(x.mean(0), x.var(0), 1), np.array([600.0]), 3, random)
    found = []
    for _ in range(30):
        gmm, _, likelihood = em_step(gmm, x, order, bounds, np.full(2, 1e-3))
        found.append(likelihood)
    assert (np.diff(found) > -1e-6).all()
    assert found[-1] > found[0] + 0.1


def test_variances_do_not_fall_below_the_floor():
    x = np.ones((50, 2), np.float32)
    grouped = group_by_pdf(np.zeros(50, np.int32), 1)
    gmm, _, _ = em_step(Gmm.single(np.ones(2), np.ones(2), 1), x, *grouped, np.full(2, 0.25))
    np.testing.assert_array_equal(gmm.variances, np.full((1, 2), 0.25))


@given(st.lists(st.integers(0, 500), min_size=1, max_size=6), st.integers(1, 60))
def test_split_targets_respect_total_and_frames(occupancy, target):
    counts = np.ones(len(occupancy), np.int64)
    wanted = split_targets(np.array(occupancy, float), counts, target)
    assert wanted.sum() <= max(target, len(occupancy))
    assert all(w == 1 or o / w >= 20 for w, o in zip(wanted, occupancy, strict=True))
    room = any(o / (w + 1) >= 20 for w, o in zip(wanted, occupancy, strict=True))
    assert wanted.sum() >= target or not room


def test_split_keeps_weights_and_total_mean():
    gmm = random_gmm(np.random.default_rng(3), [2, 1], 3)
    bigger = split(gmm, np.array([300.0, 200, 400]), 9, np.random.default_rng(0))
    assert bigger.num_gaussians == 9
    np.testing.assert_allclose(np.add.reduceat(bigger.weights, bigger.starts[:-1]), 1)
    for g in (gmm, bigger):
        g.total = np.add.reduceat(g.weights[:, None] * g.means, g.starts[:-1], axis=0)
    np.testing.assert_allclose(bigger.total, gmm.total, atol=1e-12)


def test_gmm_file_round_trip_and_damage(tmp_path):
    gmm = random_gmm(np.random.default_rng(4), [2, 3], 3)
    gmm.save(tmp_path / "gmm.npz")
    again = Gmm.load(tmp_path / "gmm.npz")
    np.testing.assert_array_equal(again.means, gmm.means)
    np.testing.assert_array_equal(again.starts, gmm.starts)
    whole = (tmp_path / "gmm.npz").read_bytes()
    (tmp_path / "gmm.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"gmm\.npz"):
        Gmm.load(tmp_path / "gmm.npz")
