from __future__ import annotations

import importlib

import pytest

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe

recipe = load_recipe("prompts")
text = importlib.import_module("asr_hf_recipes.prompts.text")

SPOKEN = [
    ("en", "Your message has been saved.", "your message has been saved"),
    ("en", "Please press * to cancel, # to end", "please press star to cancel pound to end"),
    ("en", "at [@]", "at"),
    ("en", "dash (-)", "dash"),
    ("en", 'IAX (note: does not say "2")', "iax"),
    ("en", "press 7, or 12", "press seven or twelve"),
    ("en", "dial 500", "dial five hundred"),
    ("en", "code 007", "code zero zero seven"),
    ("en", "1" * 13, " ".join(["one"] * 13)),
    ("en", "9" * 5000, " ".join(["nine"] * 5000)),
    ("en", "audio 3D", "audio three d"),
    ("en", "to umute, the fourtieth", "to unmute the fortieth"),
    ("en", "don’t 'quote' o`clock", "don't quote o'clock"),
    ("en", "www.digium.com", "w w w digium com"),
    ("en", "M G C P", "m g c p"),
    ("es", "después, Á É Í Ó Ú ü", "despues a e i o u u"),
    ("es", "el año ñandú", "el año ñandu"),
    ("es", "su contrasena", "su contraseña"),
    ("es", "marque 22", "marque veintidos"),
    ("es", "Marque dos paracambiar", "marque dos para cambiar"),
    ("fr", "L'appel n’est pas", "l' appel n' est pas"),
    ("fr", "Pour (emphase)", "pour"),
    ("fr", "dix-sept", "dix sept"),
    ("fr", "ÉTÉ à Noël", "été à noël"),
    ("fr", "e\u0301te\u0301", "été"),
    ("fr", "boite verouillée", "boîte verrouillée"),
    ("it", "E' in uso", "è in uso"),
    ("it", "Qualcosa ? terribilmente sbagliato!", "qualcosa è terribilmente sbagliato"),
    ("it", "non pu? essere", "non può essere"),
    ("it", "Sei pronto ?", "sei pronto"),
    ("it", "a [@]", "a"),
    ("it", "perpiacere", "per piacere"),
    ("ru", "Ещё раз", "еще раз"),
    ("ru", "первoe", "первое"),
    ("ru", "нажмите 3", "нажмите три"),
    ("ru", "ОШИБОЧНЫЙ номер!", "ошибочный номер"),
]


@pytest.mark.parametrize(("language", "written", "spoken"), SPOKEN)
def test_what_is_written_becomes_what_is_spoken(language, written, spoken):
    corrections = recipe.read_corrections(language)
    assert text.normalise("any", written, language, corrections) == spoken.split()


DROPPED = [
    ("en", "beep", "[this is a simple beep tone]", "no speech"),
    ("en", "tt-monkeys", "(sound of monkeys)", "no speech"),
    ("en", "silence/3", "three seconds", "no speech"),
    ("en", "any", "<tone>", "no speech"),
    ("en", "any", "", "no words"),
    ("en", "any", " ... ", "no words"),
    ("es", "any", "Sus saludos [temporales] estan", "may or may not"),
    ("fr", "spy-h323", "H 3 23", "known not to be"),
    ("ru", "dir-intro", "используйте 7 для Q", "another script"),
]


@pytest.mark.parametrize(("language", "name", "written", "reason"), DROPPED)
def test_what_cannot_be_trusted_is_dropped_with_its_reason(language, name, written, reason):
    found = text.normalise(name, written, language, recipe.read_corrections(language))
    assert isinstance(found, text.Dropped)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("\ufeffone: One\n", {"one": "One"}),
        ("\ufeff; title: not an entry\n\none: One", {"one": "One"}),
        ("digits/1 :  One ", {"digits/1": "One"}),
        ("pbx: press: now", {"pbx": "press: now"}),
        ("one: first\none: second", {"one": "first"}),
        ("one:\none: second", {"one": "second"}),
        ("empty:", {"empty": ""}),
        ("no colon here", {}),
        ("one: 1\r\ntwo: 2\r\n", {"one": "1", "two": "2"}),
        ("vm-a: bye vm-then-pound: then", {"vm-a": "bye", "vm-then-pound": "then"}),
        ("vm-a: dièse.vm-b2: Pour", {"vm-a": "dièse.", "vm-b2": "Pour"}),
        ("conf-a: conf-a: Нажмите", {"conf-a": "Нажмите"}),
    ],
)  # fmt: skip
def test_the_published_list_is_read(listed, found):
    assert text.parse_transcripts(listed) == found


@pytest.mark.parametrize("language", ["en", "es", "fr", "it", "ru"])
def test_corrections_change_something_and_hold_words_as_normalised(language):
    corrections = recipe.read_corrections(language)
    assert corrections
    for wrong, right in corrections.items():
        assert wrong != right
        if not wrong.startswith("="):
            assert text._words(wrong, language) == [wrong], "would never be met"
        assert text._words(right, language) == right.split(), "holds what is not a word"


def test_a_correction_without_a_tab_is_refused(tmp_path, monkeypatch):
    (tmp_path / "corrections").mkdir()
    (tmp_path / "corrections" / "en.tsv").write_text("# typos\numute unmute\n")
    monkeypatch.setattr(recipe, "_FOLDER", tmp_path)
    with pytest.raises(InputError, match=r"en\.tsv: no tab after 'umute unmute'"):
        recipe.read_corrections("en")
