"""Features of a directory: repeatable, resumable, every skip counted, nothing half-written."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf

from asr_hf.data.ark import ArkReader
from asr_hf.data.audio import load_audio
from asr_hf.data.cmvn import cmvn_stats
from asr_hf.data.extract import extract_features
from asr_hf.data.fbank import FbankOptions, fbank
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.runtime import artefact
from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.files import read_json
from asr_hf.runtime.resources import conf_dir
from asr_hf.stages import features

from ..typed import typed

OPTIONS = FbankOptions(num_mel_bins=12)


def archive(folder):
    return (folder / "feats.ark").read_bytes(), (folder / "cmvn.ark").read_bytes()


def test_features_and_statistics_are_those_of_each_utterance(corpus, tmp_path):
    about = extract_features(corpus, tmp_path / "f", OPTIONS, cmvn="speaker")
    feats, cmvn = ArkReader(tmp_path / "f/feats.scp"), ArkReader(tmp_path / "f/cmvn.scp")
    stats: dict[str, np.ndarray] = {}
    for u in corpus.utterances:
        expected = fbank(load_audio(corpus.wavs[u.recording], 8000), OPTIONS).numpy()
        np.testing.assert_array_equal(feats[u.id], expected)
        stats[u.speaker] = stats.get(u.speaker, 0) + cmvn_stats(expected)
    assert set(cmvn) == {"s0", "s1"}
    for speaker, expected in stats.items():
        np.testing.assert_allclose(cmvn[speaker], expected, rtol=1e-12)
    assert about["frames"] == sum(len(feats[u]) for u in feats)
    assert about["options"] == OPTIONS.to_dict()
    assert (about["utterances"], about["skipped"]) == (6, {})
    assert read_json(tmp_path / "f/fbank.json") == about


def test_several_processes_equal_one_bit_for_bit(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("asr_hf.data.extract._WORTH_A_PROCESS", 100)
    one = extract_features(corpus, tmp_path / "one", OPTIONS, jobs=1)
    several = extract_features(corpus, tmp_path / "several", OPTIONS, jobs=2)
    assert archive(tmp_path / "one") == archive(tmp_path / "several")
    assert one == several


def test_segments_and_channels_of_shared_recordings(tmp_path, speech):
    sides = np.stack([speech(2.0, 1), speech(2.0, 2)], axis=1)
    soundfile.write(tmp_path / "a.wav", sides, 8000, subtype="PCM_16")
    utterances = [
        Utterance("u1", "s", "a-A", 0, 0.0, 0.5),
        Utterance("u2", "s", "a-B", 1, 0.5, 1.25),
        Utterance("u3", "s", "a-A", 0, 1.0, None),
    ]
    wavs = dict.fromkeys(["a-A", "a-B"], str(tmp_path / "a.wav"))
    DataDir(tmp_path / "set", utterances, wavs).write()
    extract_features(DataDir.read(tmp_path / "set"), tmp_path / "f", OPTIONS)
    found = ArkReader(tmp_path / "f/feats.scp")
    for name, piece in {
        "u1": sides[:4000, 0],
        "u2": sides[4000:10000, 1],
        "u3": sides[8000:, 0],
    }.items():
        expected = fbank(torch.from_numpy(piece.astype(np.float32)), OPTIONS)
        np.testing.assert_array_equal(found[name], expected.numpy())


def changes(corpus, write_wav, speech):
    """What may differ in a second call, by name: each returns data, options, cmvn."""
    first = corpus.utterances[0]
    wav = corpus.wavs[first.recording]

    def audio():
        before = os.stat(wav)
        write_wav(corpus.path.parent / "wav" / f"{first.id}.wav", speech(0.5, 99))
        assert os.stat(wav).st_size == before.st_size
        return corpus, OPTIONS, "speaker"

    def speaker():
        other = [dataclasses.replace(first, speaker="s9"), *corpus.utterances[1:]]
        return dataclasses.replace(corpus, utterances=other), OPTIONS, "speaker"

    def option():
        return corpus, dataclasses.replace(OPTIONS, low_freq=64.0), "speaker"

    return {
        "audio": audio,
        "speaker": speaker,
        "option": option,
        "cmvn": lambda: (corpus, OPTIONS, "utterance"),
        "nothing": lambda: (corpus, OPTIONS, "speaker"),
    }


@pytest.mark.parametrize("change", ["audio", "speaker", "option", "cmvn", "nothing"])
def test_only_what_changed_is_done_again(corpus, tmp_path, write_wav, speech, change):
    folder = tmp_path / "f"
    extract_features(corpus, folder, OPTIONS, "speaker")
    before, stamp = archive(folder), (folder / "feats.ark").stat().st_mtime_ns
    data, options, cmvn = changes(corpus, write_wav, speech)[change]()
    extract_features(data, folder, options, cmvn)
    assert ((folder / "feats.ark").stat().st_mtime_ns == stamp) == (change == "nothing")
    assert (archive(folder) == before) == (change == "nothing")


@pytest.mark.parametrize("name", ["feats.ark", "feats.scp", "cmvn.ark", "cmvn.scp"])
def test_a_file_that_is_gone_is_made_again(corpus, tmp_path, name):
    extract_features(corpus, tmp_path / "f", OPTIONS)
    (tmp_path / "f" / name).unlink()
    extract_features(corpus, tmp_path / "f", OPTIONS)
    assert (tmp_path / "f" / name).is_file()


def test_an_interrupted_renewal_does_not_pass_for_the_old_features(corpus, tmp_path, monkeypatch):
    folder = tmp_path / "f"
    extract_features(corpus, folder, OPTIONS)
    good = archive(folder)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("asr_hf.data.extract.write_json", interrupted)
        with pytest.raises(KeyboardInterrupt):
            extract_features(corpus, folder, FbankOptions(num_mel_bins=9))
    extract_features(corpus, folder, OPTIONS)
    assert archive(folder) == good


SPOILT = ("missing", "empty", "truncated", "rate", "silent", "short", "nan")


def spoil(corpus, kind, write_wav, speech):
    """Make the second utterance's audio unusable; what should be said of it."""
    path = corpus.path.parent / "wav" / f"{corpus.utterances[1].id}.wav"
    if kind == "missing":
        path.unlink()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "rate":
        write_wav(path, speech(0.5, rate=16000), 16000)
    elif kind == "silent":
        write_wav(path, np.full(4000, 7, np.int16))
    elif kind == "short":
        write_wav(path, speech(0.02))
    else:
        values = speech(0.5) / np.float32(32768)
        values[100] = np.nan
        soundfile.write(path, values, 8000, subtype="FLOAT")
    said = {
        "missing": "no such audio file",
        "empty": "empty audio file",
        "truncated": "truncated",
        "rate": "16000 Hz, expected 8000 Hz",
        "silent": "silent: each of its samples is 7",
        "short": "20.0 ms of audio, expected",
        "nan": "not finite",
    }
    return path.name, said[kind]


@pytest.mark.parametrize("kind", SPOILT)
def test_unusable_audio_is_skipped_by_name_and_bounded(corpus, tmp_path, write_wav, speech, kind):
    file, said = spoil(corpus, kind, write_wav, speech)
    name = corpus.utterances[1].id
    with pytest.raises(InputError, match=f"1 of 6 utterances.*\n.*{name}.*{said}"):
        extract_features(corpus, tmp_path / "f", OPTIONS, max_skipped=0.1)
    assert not (tmp_path / "f" / "feats.ark").exists()
    about = extract_features(corpus, tmp_path / "f", OPTIONS, max_skipped=0.2)
    assert list(about["skipped"]) == [name]
    assert said in about["skipped"][name] and file in about["skipped"][name]
    assert name not in ArkReader(tmp_path / "f/feats.scp")
    # The limit holds for features that are there already, too.
    with pytest.raises(InputError, match="1 of 6"):
        extract_features(corpus, tmp_path / "f", OPTIONS, max_skipped=0.1)


def test_commands_run_only_when_allowed(corpus, tmp_path):
    plain = extract_features(corpus, tmp_path / "plain", OPTIONS)
    wavs = {r: f"cat {wav} |" for r, wav in corpus.wavs.items()}
    piped = dataclasses.replace(corpus, wavs=wavs)
    with pytest.raises(InputError, match=r"a command: 'cat .*wav") as caught:
        extract_features(piped, tmp_path / "f", OPTIONS)
    assert "features.allow_pipes=true" in caught.value.remedy
    allowed = extract_features(piped, tmp_path / "f", OPTIONS, allow_pipes=True)
    assert archive(tmp_path / "f") == archive(tmp_path / "plain")
    assert allowed["frames"] == plain["frames"]


def test_a_command_runs_once_for_all_segments_and_its_failure_is_quoted(
    tmp_path, write_wav, speech
):
    wav, log = write_wav(tmp_path / "a.wav", speech(2.0)), tmp_path / "log"
    utterances = [Utterance(f"u{i}", "s", "a", 0, i / 4, i / 4 + 0.25) for i in range(6)]
    utterances.append(Utterance("v", "s", "b"))
    wavs = {"a": f"echo x >> {log}; cat {wav} |", "b": "echo tape torn >&2; exit 9 |"}
    data = DataDir(tmp_path / "set", utterances, wavs)
    about = extract_features(data, tmp_path / "f", OPTIONS, max_skipped=0.3, allow_pipes=True)
    assert log.read_text() == "x\n"
    assert "exit status 9" in about["skipped"]["v"] and "tape torn" in about["skipped"]["v"]


def test_a_full_disk_leaves_nothing(corpus, tmp_path, files_in, file_size_limit):
    with file_size_limit(1000), pytest.raises(RunError, match=r"feats\.ark: cannot be written"):
        extract_features(corpus, tmp_path / "f", OPTIONS)
    assert files_in(tmp_path / "f") == ["artefact.json"]
    with pytest.raises(InputError, match="not finished"):
        artefact.read(tmp_path / "f")


def test_a_place_that_cannot_be_written_to(corpus, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written") as caught:
        extract_features(corpus, tmp_path / "file" / "f", OPTIONS)
    assert "permissions" in caught.value.remedy


def test_the_stage_makes_every_set_or_says_what_is_missing(corpus, tmp_path):
    settings = OmegaConf.load(conf_dir() / "features" / "fbank.yaml")
    settings.jobs = 1
    known = {"name": "toy", "dir": str(tmp_path), "sets": ["set"], "needs": "two tapes\n"}
    config = OmegaConf.create({"corpus": known, "features": settings})
    about = features.run(typed(config))["set"]
    assert about["options"] == FbankOptions().to_dict()
    assert len(ArkReader(tmp_path / "fbank/set/feats.scp")) == 6
    config.corpus.sets = ["set", "test"]
    with pytest.raises(InputError, match="no set 'test' of corpus 'toy'") as caught:
        features.run(typed(config))
    assert caught.value.expected == "two tapes"
    assert "asr-hf prepare +recipe=toy" in caught.value.remedy
