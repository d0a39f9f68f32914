"""The corpus of Fish Fillets' dialogue: of small scripts and recordings, and of the real ones."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.validate import validate
from asr_hf.hmm.graph.lexicon import read_lexicon
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe
from asr_hf.runtime.skips import SkipList
from asr_hf.stages import features
from asr_hf.stages import prepare as stage

from ..typed import typed

load_recipe("fillets")
collect = importlib.import_module("asr_hf_recipes.fillets.collect")
dialogs = importlib.import_module("asr_hf_recipes.fillets.dialogs")
fetch = importlib.import_module("asr_hf_recipes.fillets.fetch")
lexicon = importlib.import_module("asr_hf_recipes.fillets.lexicon")
# Kept between runs; git ignores it.
CACHE = Path(__file__).parents[2] / ".cache"
SCENES = "corpus.held_out_scenes={dev: [cave], test: [wreck]}"

# Scene -> name of a recording -> voice and text; None where there is no text.
CZECH = {
    "cave": {"j-v-tma": ("big", "Je tu tma."), "j-x-sup": ("bat", "Píšu píp.")},
    "wreck": {"v-m-lod": ("small", "Vidíš tu loď? Xylofon!")},
    "start": {
        "s-m-ahoj": ("small", 'Ahoj, \\"světe\\"!'),
        "s-v-aha": ("big", "Aha, óda na wok."),
        "s-v-f2": ("big", "Stiskni F2."),
        "s-v-rus": ("big", "Подожди."),
        "s-v-cas": ("big", "Už %1 hodin."),
        "s-x-oba": ("both", "My!"),
        "s-x-zvuk": ("", ""),
        "s-v-rok": ("big", "Rok 1999."),
        "s-v-navic": None,
    },
    "share/jokes": {"vtip": ("small", "Ha ha.")},
}
DUTCH = {
    "cave": {"j-v-tma": ("big", "Het is donker.")},
    "wreck": {"v-m-lod": ("small", "Zie je dat?")},
    "start": {"s-m-ahoj": ("small", "Geïnspireerd door één aquarium.")},
}


def script(said: dict) -> str:
    calls = [
        f'dialogId("{name}", "font_{voice}", "English")\ndialogStr(\n"{text}")\n'
        for name, (voice, text) in said.items()
    ]
    return "-- Texts\n\n" + "\n".join(calls)


def write_game(root: Path, scenes: dict, language: str, rate: int = 22050) -> None:
    for scene, said in scenes.items():
        level = scene.partition("/")[0]
        texts = root / "usr/share/games/fillets-ng/script" / level
        sound = root / "usr/share/games/fillets-ng/sound" / scene / language
        texts.mkdir(parents=True, exist_ok=True)
        sound.mkdir(parents=True, exist_ok=True)
        known = {name: about for name, about in said.items() if about}
        text = script({**known, "unheard": ("big", "...")} if level == "start" else known)
        (texts / f"dialogs_{language}.lua").write_text(text, encoding="utf-8")
        for name in said:
            noise = np.random.default_rng(0).normal(scale=0.1, size=(rate, 2))
            soundfile.write(sound / f"{name}.ogg", noise, rate, format="OGG")


@pytest.fixture
def prepared(tmp_path, config_for):
    """Prepares what stands in the folder `mine`."""

    def prepare(*overrides: str):
        given_ = [f"corpus.source={tmp_path / 'mine'}", SCENES, *overrides]
        config = config_for("fillets", *given_)
        about, root = stage.run(typed(config)), Path(config.corpus.dir)
        return about, {name: DataDir.read(root / name) for name in config.corpus.sets}

    return prepare


@pytest.fixture
def games(tmp_path):
    write_game(tmp_path / "mine", CZECH, "cs")
    write_game(tmp_path / "mine", DUTCH, "nl")


def test_texts_and_recordings_become_sets_by_voice_and_scene(prepared, games, tmp_path):
    about, sets = prepared()
    texts = {name: {u.id: u.text for u in data.utterances} for name, data in sets.items()}
    assert texts == {
        "train": {
            "cs_big-start_s-v-aha": "aha óda na wok",
            "cs_small-share_jokes_vtip": "ha ha",
            "cs_small-start_s-m-ahoj": "ahoj světe",
            "nl_small-start_s-m-ahoj": "geïnspireerd door één aquarium",
        },
        "dev": {"cs_big-cave_j-v-tma": "je tu tma", "nl_big-cave_j-v-tma": "het is donker"},
        "test": {
            "cs_small-wreck_v-m-lod": "vidíš tu loď xylofon",
            "nl_small-wreck_v-m-lod": "zie je dat",
        },
        "voices": {"cs_bat-cave_j-x-sup": "píšu píp"},
    }
    assert {u.speaker for u in sets["voices"].utterances} == {"cs_bat"}
    assert {u.language for u in sets["train"].utterances} == {"cs", "nl"}
    assert about["summary"]["cs"]["dropped"] == {
        "a number that can be read in several ways": 2,
        "a text that the game fills in": 1,
        "a word that is not read by its letters": 1,
        "no words": 1,
        "recording without text": 1,
        "text without recording": 1,
        "two voices at once": 1,
    }
    cs = about["summary"]["cs"]["sets"]
    assert list(cs) == ["train", "dev", "test", "voices"]
    assert (cs["test"]["words"], cs["test"]["oov_percent"]) == (4, 100.0)
    assert list(about["summary"]["nl"]["sets"]) == ["train", "dev", "test"]
    assert not any(validate(tmp_path / "data" / "fillets" / name) for name in sets)


def test_words_are_spelled_by_letters_that_sound_alike(prepared, games, tmp_path):
    prepared()
    folder = tmp_path / "data" / "fillets" / "lang"

    def phones(language, word):
        entries = read_lexicon(folder / language / "lexicon.txt", language).pronunciations
        ((found,),) = (entries[word],)
        return " ".join(phone.removeprefix(f"{language}_") for phone in found)

    assert phones("cs", "óda") == "o d a" and phones("cs", "wok") == "v o k"
    assert phones("cs", "světe") == "s v ě t e"
    assert phones("nl", "één") == "e e n" and phones("nl", "aquarium") == "a k u a r i u m"


def test_recordings_of_any_rate_and_channels_become_features(prepared, games, config_for):
    _, sets = prepared()
    rates = {soundfile.info(wav).samplerate for wav in sets["train"].wavs.values()}
    assert rates == {22050}
    made = features.run(typed(config_for("fillets", SCENES, "features.jobs=1")))
    assert made["voices"]["utterances"] == 1
    assert made["voices"]["options"]["sample_rate"] == 16000


def test_dutch_alone_has_no_other_voices(prepared, games, tmp_path):
    with pytest.raises(InputError, match=r"no recordings for voices(.|\n)*leave voices out"):
        prepared("corpus.languages=[nl]")
    about, _ = prepared("corpus.languages=[nl]", "corpus.sets=[train,dev,test]")
    assert about["languages"] == ["nl"]
    about, _ = prepared("corpus.languages=[cs]", "corpus.sets=[train,dev,test]")
    dropped = about["summary"]["cs"]["dropped"]
    assert dropped["another voice than the leading ones"] == 1


def test_recordings_that_cannot_be_are_listed_and_bounded(prepared, games, tmp_path):
    (wav,) = (tmp_path / "mine").rglob("sound/start/cs/s-v-aha.ogg")
    wav.write_bytes(b"OggS")
    with pytest.raises(InputError) as refused:
        prepared()
    assert "recordings cs: 1 of 13 utterances had to be skipped" in str(refused.value)
    assert "start/s-v-aha: " in str(refused.value)
    about, _ = prepared("corpus.max_skipped=0.1")
    assert "start/s-v-aha" in about["summary"]["cs"]["dropped_lines"]


def test_the_second_time_nothing_is_done(prepared, games, monkeypatch):
    about, _ = prepared()
    monkeypatch.setattr(load_recipe("fillets"), "collect", lambda *_: pytest.fail("made again"))
    assert prepared()[0] == about


def test_a_language_that_the_game_lacks_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"not spoken in 'de'(.|\n)*some of cs, nl"):
        fetch.find_recordings("de", None, tmp_path)


def test_what_is_missing_is_said(tmp_path, games):
    with pytest.raises(fetch.Unavailable, match=r"no script/\*/\*dialogs_cs\.lua"):
        fetch.installed("cs", tmp_path)
    for wav in (tmp_path / "mine").rglob("*.ogg"):
        wav.unlink()
    with pytest.raises(InputError, match=r"corpus\.source: .*no sound/\*/cs/\*\.ogg"):
        fetch.find_recordings("cs", tmp_path / "mine", tmp_path / "cache")


SCRIPTS = [
    ('dialogId("a","font_big","x")dialogStr("Yes.")', {"a": ("big", "Yes.")}),
    ('dialogId("a", "font_big", "x")', {}),
    ('dialogStr("Nobody\'s.")', {}),
    ('dialogId("a", "f", "x")\n-- dialogStr("no")\ndialogStr("yes")', {"a": ("f", "yes")}),
    (r'dialogId("a", "f", "x") dialogStr("a \"b\"\n c:\\d")', {"a": ("f", 'a "b"  c:\\d')}),
    ('dialogId("a", "f", "x -- y") dialogStr("z -- w")', {"a": ("f", "z -- w")}),
    ('dialogId("a", "f", "x") dialogStr("unclosed', {}),
    ("", {}),
]


@pytest.mark.parametrize(("text", "said"), SCRIPTS)
def test_scripts_are_read_call_by_call(tmp_path, text, said):
    path = tmp_path / "dialogs_cs.lua"
    path.write_text(text, encoding="utf-8")
    assert dialogs.read_dialogs(path) == {k: dialogs.Dialog(*v) for k, v in said.items()}


@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=50))
def test_any_text_comes_back(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("script") / "dialogs_cs.lua"
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    path.write_text(f'dialogId("a", "font_b", "")\ndialogStr("{quoted}")', encoding="utf-8")
    assert dialogs.read_dialogs(path) == {"a": dialogs.Dialog("b", text)}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"-" * (1 << 22) + b"-", "more than 4194304 bytes"),
        (b'dialogId("a","f","")dialogStr("b")' * 2, None),
        (b'dialogId("a","f","")dialogStr("b")dialogId("a","f","")dialogStr("c")', "two texts"),
    ],
)
def test_a_damaged_script_is_named(tmp_path, content, said):
    path = tmp_path / "dialogs_cs.lua"
    path.write_bytes(content)
    if said is None:
        assert len(dialogs.read_dialogs(path)) == 1
        return
    with pytest.raises(InputError, match=said) as refused:
        dialogs.read_dialogs(path)
    assert str(path) in str(refused.value)


def test_words_without_latin_letters_are_not_spelled():
    assert lexicon.letters("řeka") == ["ř", "e", "k", "a"]
    assert lexicon.letters("река") is None and lexicon.letters("f2") is None


def test_the_real_recordings_are_matched(config_for):
    """One test for both languages, so that what they share is fetched once."""
    held_out = config_for("fillets").corpus.held_out_scenes
    for language, files, without_text in (("cs", 1882, 3), ("nl", 1616, 1)):
        try:
            found = fetch.find_recordings(language, None, CACHE)
        except InputError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no recordings: {error}")
        assert found.digest == fetch.pinned_digest(language)
        assert len(found.audio) == files
        texts = {
            (scene, name)
            for scene, paths in found.scripts.items()
            for path in paths
            for name in dialogs.read_dialogs(path)
        }
        assert len([k for k in found.audio if (k[0], k[-1]) not in texts]) == without_text
        assert {*held_out.dev, *held_out.test} < {key[0] for key in found.audio}


def test_skips_are_listed_by_language():
    recordings = fetch.Recordings("cs", {}, {("a", "b"): Path("nowhere.ogg")})
    split = collect.Split("train", ["big"], {}, None)
    found = collect.collect(recordings, split, SkipList("recordings cs"))
    assert found.dropped == {"a/b": "recording without text"} and not found.sets
