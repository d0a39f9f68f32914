"""Mean and variance normalisation against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from asr_hf.data.ark import ArkWriter
from asr_hf.data.cmvn import CmvnMode, CmvnOptions, CmvnSource, apply_cmvn, cmvn_stats
from asr_hf.data.kaldi_dir import Utterance
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_json


def test_pooled_statistics_normalise_as_numpy_does_on_all_frames():
    random = np.random.default_rng(0)
    pieces = [
        (random.normal(12, 3, (n, 5)) * np.arange(1, 6)).astype(np.float32) for n in (7, 300, 1)
    ]
    stats = sum(cmvn_stats(piece) for piece in pieces)
    every = np.concatenate(pieces).astype(np.float64)
    expected = (every - every.mean(0)) / every.std(0)
    found = np.concatenate([apply_cmvn(piece, stats) for piece in pieces])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_statistics_are_laid_out_as_kaldi_s():
    stats = cmvn_stats(np.array([[1.0, 2.0], [3.0, 5.0]], np.float32))
    np.testing.assert_array_equal(stats, [[4, 7, 2], [10, 29, 0]])


def test_constant_features_become_zero():
    constant = np.full((50, 3), -15.9423847, np.float32)
    np.testing.assert_allclose(apply_cmvn(constant, cmvn_stats(constant)), 0, atol=1e-3)


@pytest.mark.parametrize(("mode", "key"), [("speaker", "bob"), ("utterance", "bob-1")])
def test_source_takes_the_statistics_of_speaker_or_utterance(tmp_path, mode, key):
    features = np.random.default_rng(1).normal(3, 2, (20, 4)).astype(np.float32)
    with ArkWriter(tmp_path, "cmvn") as ark:
        ark.write(key, cmvn_stats(features))
    write_json(tmp_path / "fbank.json", {"cmvn": mode})
    source = CmvnSource.open(tmp_path)
    assert source.mode is CmvnMode(mode)
    normalised = source.apply(Utterance("bob-1", "bob", "r"), features)
    np.testing.assert_allclose(normalised.mean(0), 0, atol=1e-5)
    with pytest.raises(InputError, match=r"no CMVN statistics of eve.*utterance eve-1"):
        source.apply(Utterance("eve-1", "eve" if mode == "speaker" else "x", "r"), features)
    with pytest.raises(InputError, match=rf"statistics of {key} are \(2, 5\)"):
        source.apply(Utterance("bob-1", "bob", "r"), features[:, :3])


@pytest.mark.parametrize(("column", "value"), [(-1, 0), (-1, -3), (0, np.inf), (0, np.nan)])
def test_statistics_of_no_frames_are_named(tmp_path, column, value):
    stats = cmvn_stats(np.ones((20, 4), np.float32))
    stats[0, column] = value
    with ArkWriter(tmp_path, "cmvn") as ark:
        ark.write("bob", stats)
    write_json(tmp_path / "fbank.json", {"cmvn": "speaker"})
    with pytest.raises(InputError, match=r"(?s)cmvn\.scp: statistics of bob.*utterance bob-1"):
        CmvnSource.open(tmp_path).apply(Utterance("bob-1", "bob", "r"), np.ones((3, 4)))


@pytest.mark.parametrize("about", [{}, [], {"cmvn": "everyone"}, {"cmvn": ["speaker"]}])
def test_a_description_of_another_kind_is_named(tmp_path, about):
    write_json(tmp_path / "fbank.json", about)
    with pytest.raises(InputError, match=r"fbank\.json: CMVN is"):
        CmvnSource.open(tmp_path)


@pytest.mark.parametrize("norm_vars", [False, True])
@pytest.mark.parametrize("skipped", [(), (0,), (1, 3)])
def test_the_reverse_brings_features_back(norm_vars, skipped):
    features = np.random.default_rng(2).normal(3, 2, (20, 4)).astype(np.float32)
    stats = cmvn_stats(features)
    there = apply_cmvn(features, stats, CmvnOptions(norm_vars, skip_dims=skipped))
    kept = list(skipped)
    np.testing.assert_array_equal(there[:, kept], features[:, kept])
    assert abs(np.delete(there.mean(0), kept)).max() < 1e-5
    back = apply_cmvn(there, stats, CmvnOptions(norm_vars, reverse=True, skip_dims=skipped))
    np.testing.assert_allclose(back, features, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"norm_vars": True}, r"statistics of bob are \(1, 5\)"),
        ({"norm_vars": False, "skip_dims": [4]}, "--skip-dims=4"),
        ({"norm_vars": False, "skip_dims": [-1]}, r"fbank\.json: skip_dims is \[-1\]"),
        ({"norm_vars": False, "skip_dims": "0"}, r"fbank\.json: skip_dims is 0"),
        ({"norm_vars": False}, None),
    ],
)
def test_sums_alone_serve_for_means_alone(tmp_path, more, message):
    """Kaldi takes statistics without the row of squares where variances stay."""
    features = np.random.default_rng(3).normal(3, 2, (20, 4)).astype(np.float32)
    with ArkWriter(tmp_path, "cmvn") as ark:
        ark.write("bob", cmvn_stats(features)[:1])
    write_json(tmp_path / "fbank.json", {"cmvn": "speaker", **more})
    utterance = Utterance("bob-1", "bob", "r")
    if message is None:
        found = CmvnSource.open(tmp_path).apply(utterance, features)
        np.testing.assert_allclose(found, features - features.mean(0), atol=1e-5)
        return
    with pytest.raises(InputError, match=message):
        CmvnSource.open(tmp_path).apply(utterance, features)
