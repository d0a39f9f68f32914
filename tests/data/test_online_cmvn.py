"""Online CMVN against Kaldi's apply-cmvn-online (tests/kaldi/fixtures), and its causality."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from asr_hf.data.ark import ArkReader
from asr_hf.data.cmvn import CmvnMode, CmvnOptions, CmvnSource, cmvn_stats
from asr_hf.data.extract import extract_features
from asr_hf.data.fbank import FbankOptions
from asr_hf.data.kaldi_dir import Utterance
from asr_hf.data.online_cmvn import OnlineCmvn, OnlineCmvnOptions, earlier_stats
from asr_hf.kaldi.data_dir import read_kaldi_dir
from asr_hf.kaldi.features import link_features, online_cmvn
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_json

from ..kaldi.kaldi_text import FIXTURES, matrices

KALDI, S5 = FIXTURES / "online", FIXTURES / "s5"


def options_of(file: Path) -> OnlineCmvnOptions:
    given = dict(re.findall(r"--([\w-]+)=(\S+)", file.read_text()))
    window, speaker, total = (
        int(given[key]) for key in ("cmn-window", "speaker-frames", "global-frames")
    )
    return OnlineCmvnOptions(window, speaker, total, given["norm-vars"] == "true")


@pytest.mark.parametrize("number", range(1, 5))
def test_each_frame_is_normalised_as_by_kaldi_s_program(monkeypatch, number):
    options = options_of(KALDI / f"{number}.opts")
    data = read_kaldi_dir(S5 / "data/train")
    monkeypatch.chdir(S5)
    feats = ArkReader(Path("data/train/feats.scp"))
    stats = {u.id: cmvn_stats(feats[u.id]) for u in data.utterances}
    online = OnlineCmvn(options, sum(stats.values()))
    earlier = earlier_stats(data.utterances, stats) if options.speaker_frames else {}
    right = matrices(KALDI / f"{number}.txt")
    assert len(right) == 6
    for name, expected in right.items():
        found = online.apply(feats[name], earlier.get(name))
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5, err_msg=name)


def test_features_of_kaldi_s_are_linked_with_the_sum_of_their_statistics(tmp_path):
    options = options_of(KALDI / "1.opts")
    train = S5 / "data/train"
    online = online_cmvn(train, tmp_path, options)
    link_features(train, [tmp_path], CmvnMode.ONLINE, CmvnOptions(), online=online)
    source, feats = CmvnSource.open(tmp_path), ArkReader(tmp_path / "feats.scp")
    right = matrices(KALDI / "1.txt")
    for u in read_kaldi_dir(train).utterances:
        np.testing.assert_allclose(source.apply(u, feats[u.id]), right[u.id], rtol=2e-5, atol=2e-5)
    with pytest.raises(InputError, match=r"features\.online_cmvn\.speaker_frames=40"):
        online_cmvn(train, tmp_path, options_of(KALDI / "3.opts"))


@pytest.mark.parametrize("norm_vars", [False, True])
def test_what_comes_later_changes_no_frame(norm_vars):
    """So that a live decoder, which sees one frame after the other, has the same features."""
    random = np.random.default_rng(3)
    features = random.normal(9, 3, (90, 4)).astype(np.float32)
    stats = cmvn_stats(random.normal(7, 3, (500, 4)))
    online = OnlineCmvn(OnlineCmvnOptions(20, 5, 10, norm_vars), stats)
    whole = online.apply(features, cmvn_stats(features[:7]))
    for frames in (1, 19, 20, 21, 64):
        first = online.apply(features[:frames], cmvn_stats(features[:7]))
        np.testing.assert_array_equal(first, whole[:frames])


def test_all_sets_start_from_the_training_set(corpus, tmp_path):
    options, fbank = OnlineCmvnOptions(speaker_frames=50), FbankOptions(num_mel_bins=12)
    about = extract_features(corpus, tmp_path / "train", fbank, "online", online=options)
    train = ArkReader(tmp_path / "train/feats.scp")
    total = sum(cmvn_stats(train[u]) for u in train)
    np.testing.assert_allclose(about["global_stats"], total, rtol=1e-12)
    online = OnlineCmvn.of(about)
    other = extract_features(corpus, tmp_path / "dev", fbank, "online", online=online)
    assert other["global_stats"] == about["global_stats"]
    source, first = CmvnSource.open(tmp_path / "dev"), corpus.utterances[0]
    later = next(u for u in corpus.utterances[1:] if u.speaker == first.speaker)
    for u, earlier in ((first, None), (later, cmvn_stats(train[first.id]))):
        expected = OnlineCmvn(options, total).apply(train[u.id], earlier)
        np.testing.assert_allclose(source.apply(u, train[u.id]), expected, rtol=1e-5, atol=1e-6)
    # Another training set makes the features anew.
    stamp = (tmp_path / "dev/feats.ark").stat().st_mtime_ns
    extract_features(corpus, tmp_path / "dev", fbank, "online", online=online)
    assert (tmp_path / "dev/feats.ark").stat().st_mtime_ns == stamp
    changed = OnlineCmvn(options, 2 * online.global_stats)
    extract_features(corpus, tmp_path / "dev", fbank, "online", online=changed)
    assert (tmp_path / "dev/feats.ark").stat().st_mtime_ns > stamp
    np.testing.assert_array_equal(read_json(tmp_path / "dev/fbank.json")["global_stats"], 2 * total)


@pytest.mark.parametrize(
    "damage",
    [
        {"online_cmvn": None},
        {"online_cmvn": {"cmn_window": 600}},
        {"online_cmvn": OnlineCmvnOptions().to_dict() | {"cmn_window": "many"}},
        {"online_cmvn": OnlineCmvnOptions().to_dict() | {"cmn_window": 0}},
        {"global_stats": None},
        {"global_stats": [[1.0, 2.0], [1.0]]},
        {"global_stats": [[1.0, 0.0], [1.0, 0.0]]},
        {"global_stats": [[1.0, "nan"], [1.0, 0.0]]},
    ],
)
def test_a_damaged_description_is_refused(tmp_path, damage):
    stats = cmvn_stats(np.ones((9, 1)))
    about = {"cmvn": "online", **OnlineCmvn(OnlineCmvnOptions(), stats).to_dict()}
    write_json(tmp_path / "fbank.json", about)
    features = np.full((3, 1), 5, np.float32)
    np.testing.assert_allclose(
        CmvnSource.open(tmp_path).apply(Utterance("u", "s", "r"), features)[0],
        5 - (5 + 200) / 201,
        rtol=1e-6,
    )
    write_json(tmp_path / "fbank.json", about | damage)
    with pytest.raises(InputError, match=r"fbank\.json|features\.online_cmvn"):
        CmvnSource.open(tmp_path)
