from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.graph.lexicon import read_lexicon
from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.resources import load_recipe
from asr_hf.stages import prepare as stage

from ..typed import typed

recipe = load_recipe("prompts")


@pytest.fixture
def config(tmp_path, package, config_for, monkeypatch):
    monkeypatch.setattr(recipe, "_WORDS", {"en": (15, 15)})
    package(tmp_path / "mine")
    return config_for("prompts", f"corpus.source={tmp_path / 'mine'}")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / "prompts"


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_is_made_is_valid_and_closed_in_its_vocabulary(config, target):
    about = stage.run(typed(config))
    lexicon = read_lexicon(target / "lang" / "en" / "lexicon.txt", "en")
    texts = {}
    for name in ("train", "dev", "test"):
        directory = DataDir.read(target / name)
        row = about["summary"]["en"]["sets"][name]
        assert len(directory.utterances) == row["utterances"] > 0
        assert sum(len((u.text or "").split()) for u in directory.utterances) == row["words"]
        assert {u.language for u in directory.utterances} == {"en"}
        texts |= {u.id: u.text for u in directory.utterances}
    assert all(word in lexicon for text in texts.values() for word in text.split())
    assert texts["en_us_f_allison-letters_at"] == "at"
    assert about["summary"]["en"]["dropped_prompts"] == {"beep": "no speech"}
    lines = (target / "lang" / "en" / "lm_text").read_text().splitlines()
    assert sorted(lines) == sorted(u.text for u in DataDir.read(target / "train").utterances)
    assert "| en | test |" in recipe.table(about["summary"])


def test_a_corpus_damaged_since_is_refused_and_named_not_passed_on(config, target):
    stage.run(typed(config))
    text = target / "train" / "text"
    lost, *kept = text.read_text().splitlines(keepends=True)
    text.write_text("".join(kept))
    with pytest.raises(RunError) as refused:
        stage.run(typed(config))
    assert f"{text}: {lost.split()[0]}: missing" in str(refused.value)
    assert "to have it made again" in str(refused.value)


def test_a_file_that_is_gone_or_empty_has_the_corpus_made_again(config, target):
    stage.run(typed(config))
    before = contents(target)
    for spoil in (Path.unlink, lambda path: path.write_bytes(b"")):
        spoil(target / "dev" / "wav.scp")
        stage.run(typed(config))
        assert contents(target) == before


def test_what_was_corrected_by_hand_is_kept_and_said(config, target, caplog):
    stage.run(typed(config))
    text = target / "train" / "text"
    corrected = text.read_text().replace("\n", " indeed\n", 1)
    text.write_text(corrected)
    stage.run(typed(config))
    assert text.read_text() == corrected
    assert "kept as it was changed" in caplog.text and str(text) in caplog.text


def test_the_second_time_nothing_is_done(config, target, monkeypatch):
    first = recipe.prepare(typed(config))
    (target / "fbank").mkdir()
    before = contents(target)
    monkeypatch.setattr(recipe, "_collect", lambda language: pytest.fail("made again"))
    assert recipe.prepare(typed(config)) == first
    assert contents(target) == before
    assert (target / "fbank").is_dir()


def test_another_place_gives_the_same_corpus_but_for_paths(tmp_path, package, config, target):
    recipe.prepare(typed(config))
    before = contents(target)
    assert (target / "dev" / "text").exists()
    package(tmp_path / "other", debian=False)
    config.corpus.source = str(tmp_path / "other")
    (target / "fbank").mkdir()
    recipe.prepare(typed(config))
    after = contents(target)
    assert not (target / "fbank").exists(), "features of the old corpus must go with it"
    differing = {name for name in before.keys() | after.keys() if before[name] != after[name]}
    assert differing == {
        "artefact.json",
        "corpus.json",
        *(f"{s}/wav.scp" for s in ("train", "dev", "test")),
    }


def test_a_failure_half_way_leaves_the_old_corpus(config, target, monkeypatch):
    recipe.prepare(typed(config))
    before = contents(target)
    config.lm.order = 2
    monkeypatch.setattr(
        recipe, "_write_sets", lambda *_: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(RunError, match="cannot be written: full"):
        recipe.prepare(typed(config))
    assert contents(target) == before
    assert [p.name for p in target.parent.iterdir()] == ["prompts"]


def test_a_killed_run_leaves_nothing_and_the_next_one_cleans_up(tmp_path, config, target):
    script = (
        "import os, sys\n"
        "from asr_hf.cli.compose import load_config\n"
        "from asr_hf.cli.typed import settings_of\n"
        "from asr_hf.runtime.resources import load_recipe\n"
        "recipe = load_recipe('prompts')\n"
        "recipe._write_sets = lambda *_: os.kill(os.getpid(), 9)\n"
        "recipe.prepare(settings_of(load_config(sys.argv[1:])))\n"
    )
    arguments = ["+recipe=prompts", f"paths.data={tmp_path / 'data'}"]
    arguments += [f"corpus.source={tmp_path / 'mine'}"]
    done = subprocess.run([sys.executable, "-c", script, *arguments], check=False)
    assert done.returncode == -9
    assert not target.exists()
    assert any(target.parent.iterdir())
    recipe.prepare(typed(config))
    assert [p.name for p in target.parent.iterdir()] == ["prompts"]


def test_a_folder_that_is_no_corpus_is_never_replaced(config, target):
    target.mkdir(parents=True)
    (target / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match=r"holds no corpus\.json"):
        recipe.prepare(typed(config))
    assert (target / "thesis.tex").read_text() == "precious"


def test_few_unusable_recordings_are_listed_and_left_out(tmp_path, config, target):
    sounds = tmp_path / "mine/usr/share/asterisk/sounds/en_US_f_Allison"
    (sounds / "vm-press0.wav").write_bytes(b"RIFF")
    (sounds / "vm-goodbye.wav").unlink()
    about = recipe.prepare(typed(config))
    assert about["summary"]["en"]["dropped_prompts"] == {
        "beep": "no speech",
        "vm-goodbye": "transcript without recording",
        "vm-press0": "recording cannot be read",
    }
    kept = json.loads((target / "corpus.json").read_text())["summary"]["en"]["sets"]
    assert sum(row["utterances"] for row in kept.values()) == 50


def test_many_unusable_recordings_stop_the_run(tmp_path, package, config_for):
    package(tmp_path / "wide", rate=16000)
    config = config_for("prompts", f"corpus.source={tmp_path / 'wide'}")
    with pytest.raises(InputError, match=r"52 of 53 (.|\n)*digits/1: sample rate 16000, not 8000"):
        recipe.prepare(typed(config))


def test_text_that_is_too_long_for_its_recording_is_not_trusted(
    tmp_path, package, config_for, toy_transcripts
):
    root = tmp_path / "mine"
    package(root, debian=False, transcripts=toy_transcripts)
    listed = root / "core-sounds-en.txt"
    listed.write_text(listed.read_text().replace("vm-goodbye: ", "vm-goodbye: " + "please " * 30))
    about = recipe.prepare(typed(config_for("prompts", f"corpus.source={root}")))
    dropped = about["summary"]["en"]["dropped_prompts"]
    assert dropped["vm-goodbye"] == "duration does not fit the transcript"


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_order_of_the_language_model_is_the_configured_one(config, target, order):
    config.lm.order = order
    recipe.prepare(typed(config))
    arpa = (target / "lang" / "en" / "lm.arpa").read_text()
    assert f"\\{order}-grams:" in arpa
    assert f"\\{order + 1}-grams:" not in arpa
