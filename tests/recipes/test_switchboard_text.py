from __future__ import annotations

import importlib
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
transcripts = importlib.import_module("asr_hf_recipes.switchboard.transcripts")
fisher = importlib.import_module("asr_hf_recipes.switchboard.fisher")
CORRECT, KALDI = tokens.Compat

MAPPED = [
    ("yeah", "yeah"),
    ("[laughter]", "[laughter]"),
    ("[noise]", "[noise]"),
    ("[vocalized-noise]", "[vocalized-noise]"),
    ("[laughter-yeah]", "yeah"),
    ("[LAUGHTER-yeah]", "yeah"),
    ("[laughter-[yeam/yeah]]", "yeam"),
    ("[laughter-abs[olutely]-]", "abs-"),
    ("[yeam/yeah]", "yeam"),
    ("-[an]y", "-y"),
    ("ab[solute]-", "ab-"),
    ("ab[solute]", "ab-"),
    ("ex[spec]-/expect]", "ex"),
    ("{yuppiedom}", "yuppiedom"),
    ("ammu[n]it-", "ammu-it-"),
    ("them_1", "them"),
    ("them_1's", "them's"),
]


@pytest.mark.parametrize(("token", "word"), MAPPED)
def test_a_token_becomes_the_word_that_was_said(token, word):
    assert tokens.map_token(token) == word


def test_kaldi_loses_the_letters_beside_a_gap_and_we_may_too():
    assert tokens.map_token("ammu[n]it-", KALDI) == "ammn-t-"
    assert tokens.map_token("ammu[n]it-", CORRECT) == "ammu-it-"


@pytest.mark.parametrize("compat", list(tokens.Compat))
@given(word=st.from_regex(r"[a-z']{1,12}", fullmatch=True))
def test_a_plain_word_stays_as_it_is(compat, word):
    assert tokens.map_token(word, compat) == word


def test_silence_and_aside_marks_go_whatever_their_case_and_are_counted():
    dropped = Counter()
    said = ["[Silence]", "<b_aside>", "no<E_ASIDE>", "[noise]", "[SILENCE]", "<B_aside>yes"]
    assert tokens.drop_marks(said, dropped) == ["no", "[noise]", "yes"]
    assert dropped == {"[silence]": 2, "<b_aside>": 2, "<e_aside>": 1}


SPELLED = {
    "IBM": "ay b iy eh m",
    "TVs": "t iy v iy z",
    "IBM's": "ay b iy eh m z",
    "AM": "ey eh m",
    "am": "ae m",
    "I": "ay",
    "A": "ey",
    "was": "w aa z",
}


@pytest.fixture
def spelled():
    return acronyms.Acronyms.find((word, tuple(p.split())) for word, p in SPELLED.items())


def test_words_that_are_spelled_when_spoken_are_written_letter_by_letter(spelled):
    said = ["IBM", "TVs", "IBM's", "AM", "am", "was"]
    assert spelled.apply(said) == ["i._b._m.", "t._v.s", "i._b._m.'s", "a._m.", "am", "was"]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("I was", "i was"),
        ("A I A", "a. i. a."),
        ("I A", "i. a."),
        # Someone who starts anew; Kaldi takes both for letters.
        ("I I was", "i i was"),
        ("Was I", "was i"),
    ],
)
def test_a_lone_i_is_a_word_and_a_letter_beside_another_capital(spelled, said, written):
    assert spelled.apply(said.split()) == written.split()


def test_kaldi_takes_a_repeated_i_for_letters():
    found = acronyms.Acronyms.find([("I", ("ay",))], KALDI)
    assert found.apply(["I", "I"]) == ["i.", "i."]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


DICTIONARY = """\
# Comments and blank lines

[silence] sil
yeah y ae ax
[laughter-yeah] y ae ax
Yeah y eh ax
IBM ay b iy eh m
them_1 dh ah m
them dh eh m
"""


def entries(tmp_path, patch=None):
    path = write(tmp_path / "sw-ms98-dict.text", DICTIONARY)
    mended = write(tmp_path / "patch", patch) if patch else None
    made, _ = lexicon.make_lexicon(lexicon.read_dictionary(path, mended), CORRECT)
    return {(word, " ".join(phones)) for word, phones in made}


def test_the_lexicon_is_that_of_the_words_transcripts_are_written_in(tmp_path):
    found = entries(tmp_path)
    assert {p for w, p in found if w == "yeah"} == {"en_y en_ae en_ax", "en_y en_eh en_ax"}
    assert {p for w, p in found if w == "them"} == {"en_dh en_ah en_m", "en_dh en_eh en_m"}
    assert ("i._b._m.", "en_ay en_b en_iy en_eh en_m") in found
    assert {("!sil", "sil"), ("<unk>", "spn"), ("[noise]", "nsn"), ("[laughter]", "lau")} <= found
    assert {("[vocalized-noise]", "spn"), ("i", "en_ay"), ("w.", "en_d en_ah en_b en_ax en_l "
            "en_y en_uw")} <= found  # fmt: skip
    letters = {w for w, _ in found if len(w) == 2 and w.endswith(".")}
    assert letters == {f"{chr(i)}." for i in range(ord("a"), ord("z") + 1)}
    assert not {w for w, _ in found if w != w.lower()}


def test_a_patch_adds_and_removes_pronunciations(tmp_path):
    found = entries(tmp_path, "+ uh-huh ah hh ah\n- them_1 dh ah m\n- Yeah\n")
    assert ("uh-huh", "en_ah en_hh en_ah") in found
    assert {p for w, p in found if w == "them"} == {"en_dh en_eh en_m"}
    assert {p for w, p in found if w == "yeah"} == {"en_y en_ae en_ax"}


@pytest.mark.parametrize("line", ["* word w er d", "+ word", "- absent", "- them x y"])
def test_a_patch_that_does_not_fit_is_refused_by_its_line(tmp_path, line):
    with pytest.raises(InputError, match=r"patch:2: "):
        entries(tmp_path, f"- Yeah\n{line}\n")


def test_a_segment_has_the_name_it_has_in_kaldi():
    line = "sw2001A-ms98-a-0002 0.975 11.564999 hi um"
    segment = transcripts.parse_segment("x:1", line)
    assert (segment.recording, segment.words) == ("sw02001-A", ("hi", "um"))
    # Half a centisecond is rounded up.
    assert segment.id == "sw02001-A_000098-001156"


@pytest.mark.parametrize(
    "line",
    ["sw2001C-ms98-a-0002 0 1 hi", "sw2001A 0", "sw2001A-x 2.0 1.0 hi", "sw2001A-x zero 1 hi"],
)
def test_a_malformed_segment_is_named(line):
    with pytest.raises(InputError, match="place:7"):
        transcripts.parse_segment("place:7", line)


def read(tmp_path, *lines):
    write(tmp_path / "20/2001/sw2001A-ms98-a-trans.text", "".join(f"{x}\n" for x in lines))
    return transcripts.read_transcripts(tmp_path, acronyms.Acronyms({}), CORRECT)


def test_what_is_left_empty_is_counted_and_the_rest_sorted(tmp_path):
    found = read(
        tmp_path,
        "sw2001A-ms98-a-0003 9.0 10.0 [laughter-well] [noise]",
        "sw2001A-ms98-a-0002 1.0 2.0 <b_aside> [silence] <e_aside>",
        "sw2001A-ms98-a-0001 0.0 1.0 so",
    )
    assert [" ".join(s.words) for s in found.segments] == ["so", "well [noise]"]
    assert (found.lines, found.empty, found.mapped) == (3, 1, 1)
    assert found.dropped == {"[silence]": 1, "<b_aside>": 1, "<e_aside>": 1}


def test_a_segment_twice_is_refused_with_both_places(tmp_path):
    line = "sw2001A-ms98-a-0001 0.0 1.0 so"
    with pytest.raises(InputError, match=r"text:2: .*text:1 already"):
        read(tmp_path, line, line.replace("0001 ", "0002 "))


def test_a_segment_without_length_is_left_out_with_its_reason(tmp_path):
    found = read(tmp_path, "sw2001A-ms98-a-0001 1.0 1.0 so", "sw2001A-ms98-a-0002 1.0 2.0 so")
    assert len(found.segments) == 1 and len(found.skipped) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("((i know)) what", "i know what"),
        ("the t. v. is on", "the t._v. is on"),
        ("the t._v.s", "the t._v.s"),
        ("[laugh] well [lipsmack] - yes", "[laughter] well [noise] yes"),
    ],
)
def test_fisher_is_written_as_switchboard_is(text, words):
    assert fisher.fisher_words(text) == words.split()
