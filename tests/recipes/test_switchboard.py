from __future__ import annotations

import pytest

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe

from ..typed import typed

recipe = load_recipe("switchboard")
FILES = {
    "swbd": ["disc1/data/SW02001.SPH"],
    "msu": ["sw-ms98-dict.text", "20/2001/sw2001A-ms98-a-trans.text"],
    "eval2000": ["hub5e_00/english/en_4156.sph", "hub5e_00/english/hub5e_00.pem"],
    "hub5_refs": [
        "2000_hub5_eng_eval_tr/reference/hub5e00.english.000405.stm",
        "2000_hub5_eng_eval_tr/reference/en20000405_hub5.glm",
    ],
}
CATALOGUE = {
    "swbd": "LDC97S62",
    "msu": "OpenSLR resource 5",
    "eval2000": "LDC2002S09",
    "hub5_refs": "LDC2002T43",
}


@pytest.fixture
def overrides(tmp_path):
    """Every corpus in place, with the files that are relied on."""
    for key, files in FILES.items():
        for name in files:
            (tmp_path / key / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / key / name).touch()
    return {key: f"corpus.{key}={tmp_path / key}" for key in FILES}


def test_nothing_given_lists_every_corpus_with_catalogue_role_and_contents(config_for):
    with pytest.raises(InputError) as caught:
        recipe.prepare(typed(config_for("switchboard")))
    message = str(caught.value)
    for key, catalogue in CATALOGUE.items():
        assert f"corpus.{key}: not set" in message
        assert catalogue in message
        assert f"corpus.{key}=DIR" in message
    for role in ("training audio", "training transcripts and lexicon", "test audio"):
        assert role in message
    assert "sw-ms98-dict.text" in message


@pytest.mark.parametrize("absent", sorted(FILES))
def test_exactly_the_missing_corpus_is_listed(config_for, overrides, absent):
    given = [text for key, text in overrides.items() if key != absent]
    with pytest.raises(InputError) as caught:
        recipe.prepare(typed(config_for("switchboard", *given)))
    problem = caught.value.problem
    assert "1 of its corpora cannot be used" in problem
    listed = problem.partition("may be added")[0]
    assert [key for key, number in CATALOGUE.items() if number in listed] == [absent]


@pytest.mark.parametrize("key", sorted(FILES))
def test_each_file_that_is_relied_on_is_looked_for(config_for, overrides, tmp_path, key):
    for name in FILES[key]:
        (tmp_path / key / name).unlink()
        with pytest.raises(InputError, match=f"corpus.{key}: .* holds no "):
            recipe.prepare(typed(config_for("switchboard", *overrides.values())))
        (tmp_path / key / name).touch()


def test_a_folder_that_is_not_there_is_said_to_be(config_for, overrides):
    given = [text for key, text in overrides.items() if key != "swbd"]
    with pytest.raises(InputError, match=r"corpus\.swbd: /nowhere is no folder"):
        recipe.prepare(typed(config_for("switchboard", *given, "corpus.swbd=/nowhere")))


def test_test_sets_that_are_not_wanted_need_no_corpora(config_for, overrides):
    given = [overrides["swbd"], "corpus.sets=[train,dev]"]
    with pytest.raises(InputError) as caught:
        recipe.prepare(typed(config_for("switchboard", *given)))
    assert "1 of its corpora" in caught.value.problem
    assert "corpus.msu: not set" in caught.value.problem
    assert "corpus.eval2000=DIR" not in caught.value.remedy


def test_a_corpus_that_no_set_would_use_is_a_mistake(config_for, overrides):
    given = [*overrides.values(), "corpus.sets=[train,dev,rt03]"]
    with pytest.raises(InputError, match=r"corpus\.rt03: not set") as caught:
        recipe.prepare(typed(config_for("switchboard", *given)))
    assert "corpus.sets has no eval2000 that would use it" in caught.value.problem


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("corpus.compat=perl", "one of correct, kaldi"),
        ("corpus.sets=[train]", "train, dev, and any of eval2000, rt03"),
        ("corpus.sets=[train,dev,test]", "train, dev, and any of eval2000, rt03"),
        ("corpus.conv_tab=/nowhere.tab", "no file"),
        ("corpus.lexicon_patch=/nowhere.txt", "no file"),
    ],
)
def test_settings_that_cannot_be_are_refused(config_for, overrides, setting, said):
    with pytest.raises(InputError) as caught:
        recipe.prepare(typed(config_for("switchboard", *overrides.values(), setting)))
    assert said in str(caught.value)


def test_recordings_are_counted_against_those_published(config_for, overrides, caplog):
    with pytest.raises(InputError):
        recipe.prepare(typed(config_for("switchboard", *overrides.values())))
    assert "1 recordings, not 2435 or 2438" in caplog.text
