"""From tokens of transcripts and dictionary to written words: marks, token map, spelled words."""

from __future__ import annotations

import importlib
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe

load_recipe("switchboard")
tokens = importlib.import_module("asr_hf_recipes.switchboard.tokens")
acronyms = importlib.import_module("asr_hf_recipes.switchboard.acronyms")
lexicon = importlib.import_module("asr_hf_recipes.switchboard.lexicon")
CORRECT, KALDI = tokens.Compat.CORRECT, tokens.Compat.KALDI

SAME_IN_BOTH = {
    "yeah": "yeah",
    "uh-huh": "uh-huh",
    # Said while laughing, whatever the case; with the dashes of a partial word.
    "[laughter-yeah]": "yeah",
    "[LAUGHTER-Yeah]": "Yeah",
    "[laughter-wha]-": "wha-",
    "[laughter-ab[solute]-]": "ab-",
    # What was said and what was meant; the first may be partial itself.
    "[it'n/isn't]": "it'n",
    "[lem[guini]-/linguini]": "lem-",
    # Ends and beginnings of words, whose dashes may be missing.
    "-[an]y": "-y",
    "[an]y": "-y",
    "ab[solute]-": "ab-",
    "ab[solute]": "ab-",
    # A bracketed tail that fits no rule.
    "ex[spec]-/espec]": "ex",
    "{yuppiedom}": "yuppiedom",
    "them_1": "them",
    "[laughter-them_1]": "them",
    # Sounds are words.
    "[noise]": "[noise]",
    "[vocalized-noise]": "[vocalized-noise]",
    "[laughter]": "[laughter]",
}


@pytest.mark.parametrize("compat", [CORRECT, KALDI])
@pytest.mark.parametrize(("token", "word"), SAME_IN_BOTH.items())
def test_token_map(token, word, compat):
    assert tokens.map_token(token, compat) == word


@pytest.mark.parametrize(
    ("token", "correct", "kaldi"),
    [
        ("ammu[n]it-", "ammu-it-", "ammn-t-"),
        ("mil[lio]nth", "mil-nth", "mio-th"),
        ("[laughter-mil[lio]nth]", "mil-nth", "mio-th"),
    ],
)
def test_a_gap_inside_takes_its_neighbours_along_only_under_kaldi(token, correct, kaldi):
    assert tokens.map_token(token, CORRECT) == correct
    assert tokens.map_token(token, KALDI) == kaldi


@given(st.from_regex(r"[a-z]{2,8}", fullmatch=True), st.from_regex(r"[a-z]{1,5}", fullmatch=True))
def test_no_bracket_is_left_of_a_word_in_any_dress(word, other):
    for token in (
        f"[laughter-{word}]",
        f"{word}[{other}]-",
        f"-[{other}]{word}",
        f"{word}[{other}]{word}",
        f"[{word}/{other}]",
        f"{{{word}}}",
        f"[{word}[{other}]-/{other}]",
    ):
        assert re.fullmatch(r"[a-z-]+", tokens.map_token(token)), token


def test_marks_are_dropped_and_counted_in_any_case_and_sounds_stay():
    dropped = Counter()
    line = "[SILENCE] <b_aside> hey<E_Aside> [noise] [silence] <B_ASIDE><e_aside> [laughter]"
    assert tokens.drop_marks(line.split(), dropped) == ["hey", "[noise]", "[laughter]"]
    assert dropped == {"[silence]": 2, "<b_aside>": 2, "<e_aside>": 2}


DICTIONARY = [
    ("IBM", "ay b iy eh m"),
    ("IBM's", "ay b iy eh m z"),
    ("CDs", "s iy d iy z"),
    ("USS", "y uw eh s eh s"),
    ("tv", "t iy v iy"),
    ("am", "ae m"),
    ("am", "ey eh m"),
    ("AM", "ey eh m"),
    ("be", "b iy"),
    ("M", "eh m"),
    ("a", "ey"),
    ("NASA", "n ae s ax"),
]


def find(compat=CORRECT):
    entries = [(word, tuple(phones.split())) for word, phones in DICTIONARY]
    return acronyms.Acronyms.find([*entries, *acronyms.letters().items()], compat)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("IBM", "i._b._m."),
        ("IBM's", "i._b._m.'s"),
        ("CDs", "c._d.s"),
        ("USS", "u._s._s."),
        ("tv", "t._v."),
        # A lower-case word that is said in another way, too, is no acronym; nor is one of letters
        # that are not those it is said by.
        ("am AM", "am a._m."),
        ("be NASA a", "be nasa a"),
        ("M", "m."),
        # A lone I is the pronoun, unless beside another single capital.
        ("I am", "i am"),
        ("I B M", "i. b. m."),
        ("X I", "x. i."),
        ("you and I", "you and i"),
        ("I I think", "i i think"),
        ("IBM I think", "i._b._m. i think"),
        ("Hello Unknown", "hello unknown"),
    ],
)
def test_spelled_words(said, written):
    assert " ".join(find().apply(said.split())) == written


def test_under_kaldi_two_pronouns_are_letters_and_am_is_one_always():
    words = find(KALDI).apply(["I", "I", "think", "I", "am"])
    assert words == ["i.", "i.", "think", "i", "a._m."]


def make(lines, compat=CORRECT):
    entries, _ = lexicon.make_lexicon([(w, tuple(p.split())) for w, p in lines], compat)
    return entries


def test_lexicon_has_letters_noises_and_mapped_words_each_once_in_c_order():
    entries = make(
        [
            ("[laughter-IBM]", "ay b iy eh m"),
            ("IBM", "ay b iy eh m"),
            ("ab[solute]-", "AE b"),
            ("Zoo", "z uw"),
            ("I", "ay"),
            ("I", "ah"),
        ]
    )
    table = {word: [p for w, p in entries if w == word] for word, _ in entries}
    assert table["i._b._m."] == [("en_ay", "en_b", "en_iy", "en_eh", "en_m")]
    assert table["ab-"] == [("en_ae", "en_b")]
    # The pronoun in every way that I is said, the letter in its own.
    assert table["i"] == [("en_ah",), ("en_ay",)]
    assert table["i."] == [("en_ay",)]
    assert {f"{letter}." for letter in "abcdefghijklmnopqrstuvwxyz"} <= table.keys()
    sounds = {"!sil": "sil", "[noise]": "nsn", "[laughter]": "lau", "<unk>": "spn"}
    assert all(table[word] == [(phone,)] for word, phone in sounds.items())
    assert table["[vocalized-noise]"] == [("spn",)]
    assert len(set(entries)) == len(entries)
    assert [w.encode() for w, _ in entries] == sorted(w.encode() for w, _ in entries)


def test_silence_is_no_word_to_be_recognised():
    vocabulary = lexicon.spoken_vocabulary(make([("[silence]", "sil"), ("hey", "hh ey")]))
    assert {"hey", "[noise]", "[laughter]", "[vocalized-noise]", "<unk>"} <= vocabulary
    assert not {"!sil", "[silence]"} & vocabulary


@pytest.fixture
def files(tmp_path):
    (tmp_path / "dict").write_text("# head\n\nhey hh ey\nhey hh iy\nyou y uw\nold ow l d\n")
    return tmp_path / "dict", tmp_path / "patch"


def test_a_patch_adds_and_removes(files):
    files[1].write_text("# mine\n+ new n uw\n- hey hh iy\n- old\n+ hey hh ax\n")
    words = [(word, " ".join(phones)) for word, phones in lexicon.read_dictionary(*files)]
    assert words == [("hey", "hh ey"), ("you", "y uw"), ("new", "n uw"), ("hey", "hh ax")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("- gone", "'gone' is not in"),
        ("- hey hh ax", "'hey hh ax' is not in"),
        ("hey hh ax", "'hey hh ax'"),
        ("+ hey", "'hey' has no phones"),
    ],
)
def test_bad_patches_are_refused_with_their_line(files, line, said):
    files[1].write_text(f"# mine\n{line}\n")
    with pytest.raises(InputError, match=f"patch:2: .*{re.escape(said)}"):
        lexicon.read_dictionary(*files)


def test_a_dictionary_line_without_phones_is_named(files):
    files[0].write_text("hey hh ey\nyou\n")
    with pytest.raises(InputError, match="dict:2: 'you' has no phones"):
        lexicon.read_dictionary(files[0], None)
