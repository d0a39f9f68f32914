"""Speed and level perturbation: what becomes of the audio, of names, and of records."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.data.alteration import Alteration
from asr_hf.data.ark import ArkReader
from asr_hf.data.augment.perturb import Perturbation, altered, origin, recorded
from asr_hf.data.extract import extract_features, features_spec, segments_source
from asr_hf.data.fbank import FbankOptions
from asr_hf.data.kaldi_dir import Utterance
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json
from asr_hf.runtime.provenance import Source

OPTIONS = FbankOptions(num_mel_bins=12)
RATE = 8000


@given(speed=st.integers(50, 200).map(lambda n: n / 100), gain=st.floats(0.1, 4))
def test_the_sound_at_a_time_is_that_at_speed_times_it(speed, gain):
    def sound(t):
        return 3000 * np.sin(2 * np.pi * 310 * t + 1) + 900 * np.cos(2 * np.pi * 1150 * t)

    waveform = torch.from_numpy(sound(np.arange(4000) / RATE).astype(np.float32))
    utterance = Utterance("c", "s", "c", alteration=Alteration("u", speed, gain))
    made = altered(waveform, utterance)
    assert made.dtype == torch.float32 and len(made) == math.ceil(round(4000 / speed, 6))
    expected = gain * sound(speed * np.arange(len(made)) / RATE)
    inside = slice(200, -200)
    np.testing.assert_allclose(made.numpy()[inside], expected[inside], atol=40 * gain)


def test_a_level_adds_the_same_to_every_log_energy_and_follows_from_seed_and_name(corpus, tmp_path):
    plain, louder = tmp_path / "plain", tmp_path / "louder"
    extract_features(corpus, plain, OPTIONS)
    chosen = Perturbation(level=(0.125, 2.0), seed=3)
    about = extract_features(corpus, louder, OPTIONS, perturbation=chosen)
    gains = {u.id: u.alteration.gain for u in chosen.of(corpus).utterances}
    assert len(set(gains.values())) == 6 and all(0.125 <= gain <= 2 for gain in gains.values())
    before, after = ArkReader(plain / "feats.scp"), ArkReader(louder / "feats.scp")
    for name, gain in gains.items():
        np.testing.assert_allclose(after[name] - before[name], 2 * np.log(gain), atol=2e-3)
    # Fewer utterances, or copies beside them, change nothing; another seed does.
    fewer = dataclasses.replace(corpus, utterances=corpus.utterances[3:])
    more = dataclasses.replace(chosen, speeds=(0.9,))
    for perturbed in (chosen.of(fewer), recorded(more.of(corpus))):
        assert all(u.alteration.gain == gains[u.id] for u in perturbed.utterances)
    other = dataclasses.replace(chosen, seed=4).of(corpus)
    assert all(u.alteration.gain != gains[u.id] for u in other.utterances)
    assert about["perturb"] == {"speeds": [], "level": [0.125, 2.0], "seed": 3}


def test_copies_are_named_as_in_kaldi_and_have_statistics_of_their_own(corpus, tmp_path):
    chosen = Perturbation((0.9, 1.1))
    about = extract_features(corpus, tmp_path / "f", OPTIONS, "speaker", perturbation=chosen)
    names = [u.id for u in corpus.utterances]
    data = chosen.of(corpus)
    copies = [f"{prefix}{name}" for prefix in ("sp0.9-", "sp1.1-") for name in names]
    assert [u.id for u in data.utterances] == names + copies
    assert recorded(data) == corpus
    assert {u.id: u.speaker for u in data.utterances}["sp0.9-s1-u01"] == "sp0.9-s1"
    features = ArkReader(tmp_path / "f/feats.scp")
    assert set(features) == set(names + copies) and about["utterances"] == 18
    assert len(ArkReader(tmp_path / "f/cmvn.scp")) == 6
    for name in names:
        length = len(features[name])
        assert abs(len(features[f"sp0.9-{name}"]) * 0.9 - length) < 2
        assert abs(len(features[f"sp1.1-{name}"]) * 1.1 - length) < 2


def test_several_processes_make_the_same_copies(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("asr_hf.data.extract._WORTH_A_PROCESS", 100)
    chosen = Perturbation((0.9,), (0.5, 1.5))
    for jobs in (1, 2):
        extract_features(corpus, tmp_path / str(jobs), OPTIONS, jobs=jobs, perturbation=chosen)
    assert (tmp_path / "1/feats.ark").read_bytes() == (tmp_path / "2/feats.ark").read_bytes()


def test_without_perturbation_records_are_as_they_were(corpus, tmp_path):
    """What was made before there was any is current still."""
    spec = features_spec(corpus, OPTIONS, "speaker", False)
    assert spec.sources["segments"] == Source.of_values(
        [[u.id, u.speaker, u.recording, u.channel, u.start, u.end] for u in corpus.utterances]
    )
    options = {f"features.{key}" for key in OPTIONS.to_dict()}
    assert spec.settings.keys() == options | {"features.cmvn", "features.resample"}
    extract_features(corpus, tmp_path / "f", OPTIONS)
    known = {"format", "options", "cmvn", "utterances", "frames", "skipped"}
    assert read_json(tmp_path / "f/fbank.json").keys() == known


def test_only_another_perturbation_is_made_again(corpus, tmp_path):
    def stamp(*given):
        extract_features(corpus, tmp_path / "f", OPTIONS, perturbation=Perturbation(*given))
        return (tmp_path / "f/feats.ark").stat().st_mtime_ns

    first = stamp((0.9, 1.1))
    assert stamp((0.9, 1.1)) == first
    stamps = [stamp((0.9,)), stamp((0.95,)), stamp((0.95,), (0.5, 2.0)), stamp((), (0.5, 2.0))]
    stamps.append(stamp((), (0.5, 2.0), 1))
    assert len({first, *stamps}) == 6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (((1.0,),), "features.perturb.speeds"),
        (((0.9, 0.9),), "0.9 twice"),
        (((0.4,),), "0.4 cannot be"),
        (((float("nan"),),), "nan cannot be"),
        (((0.955,),), "0.955 cannot be"),
        (((), (2.0, 1.0)), "features.perturb.level"),
        (((), (0.0, 1.0)), "features.perturb.level"),
        (((), (1.0,)), "features.perturb.level"),
    ],
)
def test_perturbations_that_cannot_be(given, message):
    with pytest.raises(InputError, match=message):
        Perturbation(*given)


def test_a_set_that_has_such_copies_already_is_refused(corpus):
    already = Perturbation((0.9,)).of(corpus)
    with pytest.raises(InputError, match=r"sp0\.9-s0-u00 already"):
        Perturbation((1.1, 0.9)).of(dataclasses.replace(corpus, utterances=already.utterances))


def test_names_lead_back_to_what_was_copied():
    assert origin("sp1.05-a-b") == ("a-b", 1.05)
    assert [origin(name) for name in ("sp1-a", "sp0.9a", "xsp0.9-a", "sp0.9-")] == [
        (name, 1.0) for name in ("sp1-a", "sp0.9a", "xsp0.9-a", "sp0.9-")
    ]


def test_alterations_tell_sets_apart(corpus):
    made = [Perturbation((0.9,)).of(corpus), Perturbation((), (0.5, 2.0)).of(corpus), corpus]
    assert len({segments_source(data).digest for data in made}) == 3
