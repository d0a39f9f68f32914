"""From transcripts to words: boundaries, case, composed form and marks.

The words are those that perl 5.36 finds between its `\\b{wb}` (UAX #29), in lower case.
"""

from __future__ import annotations

import importlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.runtime.resources import load_recipe

load_recipe("table")
marks = importlib.import_module("asr_hf_recipes.table.marks")
text_module = importlib.import_module("asr_hf_recipes.table.text")
graphemes, lower = text_module.graphemes, text_module.lower
read_transcript, words_of = text_module.read_transcript, text_module.words_of

letters = st.sampled_from("abAÉéñßİıΣσςЖжשلක්රීहिน日カ가ŉ̣̌1")
inner = st.sampled_from("'’·:-\u200d\u200c\u00ad\u2060 \u00a0.,_")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ශ්\u200dරී ලංකා", ["ශ්\u200dරී", "ලංකා"]),
        ("ක්\u200dරියා කරයි", ["ක්\u200dරියා", "කරයි"]),
        ("می\u200cخواهم بروم", ["می\u200cخواهم", "بروم"]),
        ("க்\u200cஷ நன்றி", ["க்\u200cஷ", "நன்றி"]),
        ("co\u00adoperate now", ["cooperate", "now"]),
        ("wo\u2060rd join", ["word", "join"]),
        ("Auf\u200clage\u200d", ["auflage"]),
        ("\u200fשלום\u200e", ["שלום"]),
        ("paral·lel col·lecció", ["paral·lel", "col·lecció"]),
        ("can’t l'été rock’n’roll", ["can't", "l'été", "rock'n'roll"]),
        ("м’ята обʼєкт", ["м'ята", "об'єкт"]),
        ("Hawaiʻi", ["hawaiʻi"]),
        ("क्षत्रिय हिन्दी", ["क्षत्रिय", "हिन्दी"]),
        ("বাংলা শব্দ", ["বাংলা", "শব্দ"]),
        ("צה״ל", ["צה״ל"]),
        ("EU:n", ["eu:n"]),
        ("g̃uarani ẋ̣y", ["g̃uarani", "\u1e8b\u0323y"]),
        ("ካብ፡ቤት", ["ካብ", "ቤት"]),
        ("«uno», ¡dos! (tres)", ["uno", "dos", "tres"]),
        ("uno/dos tres-cuatro", ["uno", "dos", "tres", "cuatro"]),
        ("'uno' dogs' ¿‘dos’?", ["uno", "dogs", "dos"]),
        ("a\u00a0b\u2028c\u3000d\u0085e\x1cf\u200bg", list("abcdefg")),
        ("ok ❤\ufe0f 👩\u200d🚀 vale", ["ok", "vale"]),
    ],
)
def test_words_are_parted_where_unicode_parts_them(text, words):
    expected = [unicodedata.normalize("NFC", word) for word in words]
    assert words_of(text, "xx") == expected
    assert words_of(unicodedata.normalize("NFD", text), "xx") == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # Not parted, though Unicode would: these scripts have no blanks inside a phrase.
        ("ไทย ภาษา", ["ไทย", "ภาษา"]),
        ("日本語カタカナ", ["日本語カタカナ"]),
        # Parted, though Unicode would not: spelled letters, a blank that was forgotten.
        ("U.S.A. uno.dos", ["u", "s", "a", "uno", "dos"]),
        ("uno_dos", ["uno", "dos"]),
        # Not letters.
        ("Ի՞նչ", ["ինչ"]),
        ("مـــرحبا", ["مرحبا"]),
    ],
)
def test_what_differs_from_the_default_boundaries(text, words):
    assert words_of(text, "xx") == words


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("tr", "ISPARTA İstanbul", "ısparta istanbul"),
        ("tr-TR", "DIŞ İÇ", "dış iç"),
        ("tur", "I\u0307zmir", "izmir"),
        ("az", "QIZIL İŞ", "qızıl iş"),
        ("az_Latn_AZ", "IŞIQ", "ışıq"),
        ("en", "ISPARTA İstanbul", "isparta istanbul"),
        ("xx", "I\u0307zmir", "izmir"),
        ("lt", "I\u0307\u0301 J\u0307 Ì", "í j ì"),
        ("el", "ΟΔΟΣ ΣΟΦΟΣ, ΟΔΟΣ.", "οδος σοφος οδος"),
        ("de", "STRASSE Straße GROẞ", "strasse straße groß"),
        ("ka", "ᲗᲑᲘᲚᲘᲡᲘ", "თბილისი"),
        ("no", "ÆRE ØL Å", "ære øl å"),
    ],
)
def test_case_is_that_of_the_language(language, text, expected):
    assert " ".join(words_of(text, language)) == expected


def test_a_second_dot_is_never_left_on_an_i():
    for language in ("tr", "az", "lt", "en", "xx"):
        assert "\u0307" not in unicodedata.normalize("NFD", lower("İI\u0307i\u0307", language))


@given(st.lists(letters | inner, max_size=12).map("".join), st.sampled_from(["en", "tr", "el"]))
def test_words_hold_the_text_s_letters_and_stay_as_they_are(text, language):
    words = words_of(text, language)
    assert words == words_of(" ".join(words), language)
    assert words == words_of(unicodedata.normalize("NFD", text), language)
    assert words == words_of(unicodedata.normalize("NFC", text), language)
    assert all(word == unicodedata.normalize("NFC", word) for word in words)
    # Case may make two letters of one, never fewer.
    spoken, written = "".join(words), unicodedata.normalize("NFC", text)
    assert sum(map(str.isalnum, spoken)) == sum(map(str.isalnum, written))


@pytest.mark.parametrize(
    ("word", "letters"),
    [
        ("can't", "cant"),
        ("ශ්\u200dරී", "ශ්රී"),
        ("paral·lel", "parallel"),
        ("צה״ל", "צהל"),
        ("eu:n", "eun"),
    ],
)
def test_joiners_and_punctuation_inside_words_are_no_letters(word, letters):
    assert graphemes(word) == list(letters)


@pytest.mark.parametrize("word", ["1990s", "m²", "½", "Ⅳ", "'", "\u200d", "uno,", "#uno", ":"])
def test_what_is_read_otherwise_has_no_letters(word):
    assert graphemes(word) is None


@pytest.mark.parametrize(
    "mark",
    [
        *("[noise]", "[door slams]", "<noise>", "<unk>", "{SMACK}", "{breath in}", "++GARBAGE++"),
        *("(laughter)", "(LAUGHS)", "(clears throat)", "(risas)", "*coughs*", "()", "[]"),
    ],
)
def test_marks_of_noise_are_no_words_and_train_spoken_noise(mark):
    found = read_transcript(f"uno {mark} dos", "es")
    assert (found.words, found.marks) == (["uno", "dos"], [mark])
    assert found.sounds == ["uno", "<unk>", "dos"]


@pytest.mark.parametrize("mark", ["<sil>", "[silence]", "{pause}", "(pause)", "<b>", "</b>", "<s>"])
def test_marks_of_silence_and_markup_are_nothing(mark):
    text = f"uno {mark} dos" + (" </b>" if mark == "<b>" else "")
    found = read_transcript(text, "es")
    assert found.words == found.sounds == ["uno", "dos"] and mark in found.marks


@pytest.mark.parametrize(
    "text", ["uno (dos)", "uno *dos*", "uno ((dos))", "uno + dos", "uno < dos"]
)
def test_words_in_brackets_that_may_be_spoken_are_words(text):
    assert read_transcript(text, "es").words == ["uno", "dos"]
    assert all(kind is marks.Kind.TEXT for kind, _ in marks.split_marks(text))
