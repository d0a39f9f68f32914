"""The corpus of the game's dialogue: of a small game, and of the real one."""

from __future__ import annotations

import importlib
import io
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.validate import validate
from asr_hf.hmm.graph.arpa import arpa_unigrams
from asr_hf.hmm.graph.lexicon import read_lexicon
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe
from asr_hf.stages import features
from asr_hf.stages import prepare as stage
from scripts import queen_container as made

from ..typed import typed

load_recipe("queen")
collect = importlib.import_module("asr_hf_recipes.queen.collect")
container = importlib.import_module("asr_hf_recipes.queen.container")
fetch = importlib.import_module("asr_hf_recipes.queen.fetch")
lines = importlib.import_module("asr_hf_recipes.queen.lines")
RATE = 11025
# Kept between runs; git ignores it.
CACHE = Path(__file__).parents[2] / ".cache"
HELD_OUT = "corpus.held_out={dev: [bob], test: [lou]}"


def mp3(seconds: float, rate: int = RATE) -> bytes:
    noise = np.random.default_rng(0).normal(scale=0.1, size=round(seconds * rate))
    file = io.BytesIO()
    soundfile.write(file, noise, rate, format="MP3")
    return file.getvalue()


def entries() -> dict[str, bytes]:
    """A game with an hero, two characters with dialogues, and a third in a scene."""
    hero = [(0, "Hello there.*03Who are you?"), (7, "Floda? It's <cough> bad."), (8, "*03")]
    other = [(0, "Hello Joe.*00I'm Bob, in 1999."), (9, "Not recorded."), (10, "Zyxgrm you.")]
    steps = [made.Said(0, "Look there!*03"), made.Said(1, "*FLA tall rock."), made.Said(2, "Hm.")]
    steps += [made.Said(3, "I'm Skip."), made.Said(1, "Two*00pieces.")]
    text = {
        "BOB1.DOG": made.dialogue(6, hero, other, ("Hello.", "Hi Bob.*02")),
        "LOU2.DOG": made.dialogue(33, [], [(1, "Hello Joe, it's your Skip.")]),
        "C1A.CUT": made.scene(steps),
        "QUEEN.JAS": made.numbers(2, 3, [1, -2, 3]),
        "QUEEN2.JAS": made.lists(
            ["A rock.*24", "c1a.CUT"], ["No, it's bad."], ["Faye", "rock", "Skip"]
        ),
    }
    recorded = "06SSSSJ1 06SSSSJ2 060007J1 060000P1 060000P2 06000AP1 06XXXXP1 06XXXXJ1 330001P1"
    recorded += " C1A__011 C1A__022 C1A__031 C1A__041 C1A__051 JOE00011 JOE00411 103SSSSS"
    return text | {f"{name}.SB": mp3(1.0) for name in recorded.split()}


@pytest.fixture
def prepared(tmp_path, config_for):
    """Prepares a game; returns what corpus.json says and the data directories."""

    def prepare(game: dict[str, bytes], *overrides: str):
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        (folder / "queen.1c").write_bytes(made.container(game))
        given = [f"corpus.source={folder}", HELD_OUT, "corpus.max_skipped=0.1", *overrides]
        config = config_for("queen", *given)
        about, root = stage.run(typed(config)), Path(config.corpus.dir)
        return about, {name: DataDir.read(root / name) for name in config.corpus.sets}

    return prepare


def test_lines_become_utterances_of_their_speakers_sets(prepared, tmp_path):
    about, sets = prepared(entries())
    texts = {name: {u.id: u.text for u in data.utterances} for name, data in sets.items()}
    assert texts == {
        "train": {
            "joe-06SSSSJ1": "hello there",
            "joe-06SSSSJ2": "who are you",
            "joe-060007J1": "floda it's <unk> bad",
            "joe-06XXXXJ1": "hi bob",
            "joe-C1A__011": "look there",
            "joe-JOE00011": "no it's bad",
            "joe-JOE00411": "a rock",
            "faye-C1A__022": "a tall rock",
        },
        "dev": {
            "bob-060000P1": "hello joe",
            "bob-06000AP1": "zyxgrm you",
            "bob-06XXXXP1": "hello",
        },
        "test": {"lou-330001P1": "hello joe it's your skip"},
    }
    summary = about["summary"]["en"]
    assert summary["dropped"] == {
        "a number that can be read in several ways": 1,
        "a scene's line of a character that is held out": 1,
        "a scene's line whose speaker is not known": 1,
        "recording without text": 1,
        "text without recording": 1,
    }
    assert about["skipped"] == {"C1A__05": "2 pieces of text, 1 recorded"}
    assert about["sample_rate"] == RATE
    dev = summary["sets"]["dev"]
    assert (dev["words"], dev["oov_words"], dev["oov_percent"]) == (5, 2, 40.0)
    assert (summary["sets"]["train"]["speakers"], summary["sets"]["test"]["oov_words"]) == (2, 3)
    assert not any(validate(tmp_path / "data" / "queen" / name) for name in sets)


def test_what_is_recognised_is_what_was_trained_on(prepared, tmp_path):
    prepared(entries())
    folder = tmp_path / "data" / "queen" / "lang" / "en"
    lexicon = read_lexicon(folder / "lexicon.txt", "en").pronunciations
    assert lexicon["floda"] == (("en_f", "en_l", "en_ow", "en_d", "en_ah"),)
    assert "skip" in lexicon and "zyxgrm" not in lexicon
    known = {word for word, *_ in arpa_unigrams(folder / "lm.arpa")}
    assert {"floda", "rock"} <= known and not {"skip", "zyxgrm"} & known


def test_recordings_are_written_unaltered_and_read(prepared, config_for, tmp_path):
    game = entries()
    _, sets = prepared(game)
    for data in sets.values():
        for u in data.utterances:
            wav = Path(data.wavs[u.recording])
            assert wav.parent == tmp_path / "data" / "queen" / "wav"
            assert wav.read_bytes() == game[f"{u.id.partition('-')[2]}.SB"]
    assert len(list((tmp_path / "data" / "queen" / "wav").iterdir())) == 12
    made_of = features.run(typed(config_for("queen", HELD_OUT, "features.jobs=1")))
    assert made_of["train"]["utterances"] == 8
    assert made_of["train"]["options"]["sample_rate"] == RATE


def test_the_second_time_nothing_is_done_and_skips_are_held_against_the_limit(
    prepared, monkeypatch
):
    about, _ = prepared(entries())
    recipe = load_recipe("queen")
    monkeypatch.setattr(recipe, "collect", lambda *_: pytest.fail("made again"))
    assert prepared(entries())[0] == about
    with pytest.raises(InputError, match=r"1 of 14 utterances(.|\n)*corpus\.max_skipped"):
        prepared(entries(), "corpus.max_skipped=0")


def test_too_many_lines_that_do_not_fit_stop_the_command(prepared):
    game = entries()
    for name in ("06SSSSJ2.SB", "JOE00011.SB"):
        game[name] = b"no MP3" * 99 if name.startswith("JOE") else mp3(30.0)
    with pytest.raises(InputError) as refused:
        prepared(game)
    said = str(refused.value)
    assert "3 of 14 utterances had to be skipped" in said
    assert "C1A__05: 2 pieces of text, 1 recorded" in said
    assert "06SSSSJ2.SB: duration does not fit the transcript" in said
    assert "JOE00011.SB: " in said


@pytest.mark.parametrize(
    ("held_out", "said"),
    [
        ("{dev: [bob], test: [nobody]}", r"corpus\.held_out\.test: 'nobody'(.|\n)*bob, faye, joe"),
        ("{dev: [bob], test: [bob]}", r"corpus\.held_out\.test: 'bob'.*of dev too"),
    ],
)
def test_a_character_that_cannot_be_held_out_is_refused(prepared, held_out, said):
    with pytest.raises(InputError, match=said):
        prepared(entries(), f"corpus.held_out={held_out}")


def test_a_game_without_its_lists_is_refused(prepared):
    game = entries()
    del game["QUEEN2.JAS"]
    with pytest.raises(InputError, match=r"queen\.1c: no entry QUEEN2\.JAS"):
        prepared(game)


def test_another_game_is_used_with_a_warning(prepared, caplog):
    prepared(entries())
    assert "differs from that of flight-of-the-amazon-queen 1.0.0-9" in caplog.text


def test_where_no_game_is_each_way_says_why(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"corpus\.source: .*nowhere is neither a folder nor"):
        fetch.find_game(tmp_path / "nowhere", tmp_path)
    with pytest.raises(InputError, match=rf"corpus\.source: {tmp_path} holds no queen\.1c"):
        fetch.find_game(tmp_path, tmp_path)
    with pytest.raises(fetch.Unavailable, match=r"queen\.1c"):
        fetch.installed(tmp_path)


@pytest.fixture(scope="module")
def game():
    try:
        return fetch.find_game(None, CACHE)
    except InputError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no game: {error}")


def test_the_real_game_is_matched_but_for_three_lines(game, config_for):
    assert game.digest == fetch.pinned_digest()
    opened = container.Container(game.path)
    assert Counter(name.rpartition(".")[2] for name in opened.entries)["SB"] == 6745
    held_out = config_for("queen").corpus.held_out
    spoken = collect.spoken_lines(opened, frozenset([*held_out.dev, *held_out.test]))
    found = lines.match(spoken, opened.entries)
    assert found.total == 4191 and len(found.pieces) == 6194
    assert Counter(found.faults.values()) == {
        "2 texts for one recording": 2,
        "2 pieces of text, 3 recorded": 1,
    }
    speakers = {piece.speaker for piece in found.pieces}
    assert len(speakers) == 36 and {*held_out.dev, *held_out.test} < speakers
    bob = lines.Piece("06XXXXP1.SB", "bob", "Hello again Joe.")
    assert bob in found.pieces
