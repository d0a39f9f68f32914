"""The whole preparation, on a replica of the corpora made of tones."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_hf.data.audio import load_audio
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.validate import validate
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe

recipe = load_recipe("switchboard")
make = importlib.import_module("asr_hf_recipes.switchboard.replica.make")
dialogue = importlib.import_module("asr_hf_recipes.switchboard.replica.dialogue")
sphere = importlib.import_module("asr_hf_recipes.switchboard.replica.sphere")
WORDS = ("please", "enter", "the", "extension", "number", "pound", "conference", "password")


def prompt(*words):
    samples = 3000 * np.sin(np.arange(400 * len("".join(words))) * (0.1 + 0.01 * len(words)))
    return dialogue.Prompt(samples.astype(np.int16), words)


def prompts(count, seed=0):
    random = np.random.default_rng(seed)
    letters = [prompt(letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
    return letters + [prompt(*random.choice(WORDS, 3)) for _ in range(count)]


@pytest.fixture(scope="module")
def pronunciations():
    names = importlib.import_module("asr_hf_recipes.switchboard.acronyms").letters()
    said = {word: [tuple(["t", "ax"] * len(word))] for word in WORDS}
    return said | {letter.lower(): [phones] for letter, phones in names.items()}


@pytest.fixture(scope="module")
def replica(tmp_path_factory, pronunciations):
    folder = tmp_path_factory.mktemp("replica") / "ldc"
    make.make_replica(folder, prompts(150), prompts(30, 1), pronunciations)
    return folder


def settings(folder, *more):
    return [
        f"corpus.swbd={folder}/LDC97S62",
        f"corpus.msu={folder}/swb_ms98_transcriptions",
        f"corpus.eval2000={folder}/LDC2002S09",
        f"corpus.hub5_refs={folder}/LDC2002T43",
        *more,
    ]


def prepare(config_for, folder, *more):
    config = config_for("switchboard", *settings(folder, *more))
    return config, recipe.prepare(config)


def read(path):
    return Path(path).read_text()


def bytes_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_seed_gives_the_same_replica(replica, pronunciations, tmp_path):
    make.make_replica(tmp_path / "again", prompts(150), prompts(30, 1), pronunciations)
    assert bytes_of(tmp_path / "again") == bytes_of(replica)


def test_mu_law_is_libsndfile_s(tmp_path):
    samples = np.random.default_rng(0).integers(-32768, 32768, (5000, 2)).astype(np.int16)
    sphere.write_sphere(tmp_path / "a.sph", samples, 8000)
    found, rate = soundfile.read(tmp_path / "a.sph", dtype="int16")
    assert rate == 8000 and found.shape == samples.shape
    # What another coder makes of the same samples.
    soundfile.write(tmp_path / "b.au", samples, 8000, subtype="ULAW")
    other, _ = soundfile.read(tmp_path / "b.au", dtype="int16")
    scale = np.maximum(np.abs(samples.astype(int)), 132)
    assert (np.abs(found.astype(int) - samples) <= scale / 16).all()
    assert (np.abs(other.astype(int) - found) <= scale / 16).all()


def test_every_awkward_token_stands_in_the_replica(replica):
    text = "".join(p.read_text() for p in replica.glob("swb_ms98_transcriptions/*/*/*"))
    for mark in ("[silence]", "<b_aside>", "<E_ASIDE>", "[laughter-", "[LAUGHTER-", "]-", "-[",
                 "_1", "{", "/", "[noise]", "[vocalized-noise]"):  # fmt: skip
        assert mark in text, mark
    assert any(word in text for word in (" IBM", " TV", " BBC"))


def test_the_corpus_is_whole_and_valid(config_for, replica):
    config, about = prepare(config_for, replica)
    folder = config.corpus.dir
    for name in ("train", "dev", "eval2000"):
        assert not validate(f"{folder}/{name}")
    text = {u.id: u.text for u in DataDir.read(f"{folder}/train").utterances}
    lexicon = {x.split()[0] for x in read(f"{folder}/lang/en/lexicon.txt").splitlines()}
    assert {word for words in text.values() for word in words.split()} <= lexicon
    assert not any(c in words for words in text.values() for c in "<>{}/")
    assert any("i._b._m." in words for words in text.values())
    sets = about["summary"]["sets"]
    assert sets["train"]["utterances"] + sets["dev"]["utterances"] == sets["all"]["utterances"]
    assert (
        sets["eval2000"]["utterances"]
        == sets["eval2000 sw_"]["utterances"] + (sets["eval2000 en_"]["utterances"])
    )
    assert about["summary"]["unknown_words"] == 0 and not about["summary"]["skipped"]


def test_channels_are_those_of_their_sides(config_for, replica):
    config, _ = prepare(config_for, replica)
    data = DataDir.read(f"{config.corpus.dir}/train")
    rows = [row.split() for row in read(data.path / "reco2file_and_channel").splitlines()]
    assert rows and all(key == f"{file}-{side}" for key, file, side in rows)
    louder = 0
    some = data.utterances[:20]
    for utterance in some:
        both, rate = soundfile.read(data.wavs[utterance.recording])
        part = both[int(utterance.start * rate) : int(utterance.end * rate)]
        energy = (part**2).sum(axis=0)
        louder += energy[utterance.channel] > energy[1 - utterance.channel]
    assert louder >= 0.8 * len(some)
    assert load_audio(data.wavs[some[0].recording], 8000).dim() == 1


def test_a_second_time_nothing_is_done_until_something_changes(config_for, replica):
    config, _ = prepare(config_for, replica)
    mark = f"{config.corpus.dir}/corpus.json"
    before = read(mark)
    prepare(config_for, replica)
    assert read(mark) == before
    _, about = prepare(config_for, replica, "corpus.subset=110h")
    assert about["origin"] != json.loads(before)["origin"]


def test_known_callers_are_speakers_over_conversations(config_for, replica, caplog):
    table = f"corpus.conv_tab={replica}/LDC97S62/docs/conv.tab"
    config, about = prepare(config_for, replica, table)
    data = DataDir.read(f"{config.corpus.dir}/train")
    assert all(u.id.startswith(u.speaker) for u in data.utterances)
    train = about["summary"]["sets"]["train"]
    assert train["speakers"] < train["sides"]
    assert "2 sides are not in conv.tab" in caplog.text


def test_a_truncated_recording_is_named_and_bounded(config_for, pronunciations, tmp_path):
    folder = tmp_path / "cut"
    make.make_replica(folder, prompts(150), prompts(30, 1), pronunciations, truncated=True)
    with pytest.raises(InputError, match=r"sw020\d\d\.sph: "):
        prepare(config_for, folder)
    _, about = prepare(config_for, folder, "features.max_skipped=0.5")
    assert about["summary"]["skipped"]


def test_rt03_and_fisher_join_in(config_for, replica):
    more = [
        "corpus.sets=[train,dev,eval2000,rt03]",
        f"corpus.rt03={replica}/LDC2007S10",
        f"corpus.fisher=[{replica}/LDC2004T19]",
    ]
    config, about = prepare(config_for, replica, *more)
    assert about["summary"]["sets"]["rt03"]["utterances"] > 0
    folder = f"{config.corpus.dir}/rt03"
    assert " B " in read(f"{folder}/stm") and "inter_segment" not in read(f"{folder}/stm")
    lm_text = read(f"{config.corpus.dir}/lang/en/lm_text")
    assert lm_text.count("\n") > about["summary"]["sets"]["train"]["utterances"]


def test_a_missing_recording_of_a_test_set_stops_everything(config_for, replica, tmp_path):
    shutil.copytree(replica, tmp_path / "less")
    audio = next((tmp_path / "less/LDC2002S09").rglob("en_*.sph"))
    audio.unlink()
    with pytest.raises(InputError, match=f"{audio.name}: no such recording"):
        prepare(config_for, tmp_path / "less")
    assert not (tmp_path / "data/switchboard/corpus.json").exists()


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("corpus.compat=perl", "corpus.compat"),
        ("corpus.sets=[train]", "corpus.sets"),
        ("corpus.subset=1h", "corpus.subset"),
        ("corpus.conv_tab=/nowhere", "corpus.conv_tab"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(config_for, replica, override, problem):
    with pytest.raises(InputError, match=problem):
        prepare(config_for, replica, override)
