"""Differences of cepstra, and their normalisation."""

from __future__ import annotations

import numpy as np

from asr_hf.hmm.gmm.cepstra import cepstra, normalise


def test_deltas_of_a_ramp_are_its_slope():
    ramp = np.arange(20.0)[:, None] * np.ones((1, 40))
    found = cepstra(ramp)
    assert found.shape == (20, 39)
    np.testing.assert_allclose(found[2:-2, 13], np.sqrt(40), rtol=1e-5)
    np.testing.assert_allclose(found[4:-4, 26:], 0, atol=1e-4)


def test_normalisation_is_by_speaker():
    random = np.random.default_rng(5)
    features = {f"u{i}": random.normal(i, 1 + i, (50, 3)).astype(np.float32) for i in range(4)}
    speakers = {"u0": "s", "u1": "t", "u2": "s", "u3": "t"}
    found = normalise(features, speakers)
    assert list(found) == list(features)
    for speaker in "st":
        frames = np.concatenate([found[u] for u in found if speakers[u] == speaker])
        np.testing.assert_allclose(frames.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(frames.std(0), 1, atol=1e-5)
