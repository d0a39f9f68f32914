"""Dictionaries as they come: each line is read as what it is, or refused by line."""

from __future__ import annotations

import logging

import pytest

from asr_hf.hmm.alignment.corpus import lexicons_of
from asr_hf.hmm.alignment.spoken_path import Transcript
from asr_hf.hmm.graph.dictionary import read_entries
from asr_hf.hmm.graph.lexicon import phone_table, read_lexicon
from asr_hf.runtime.errors import InputError


def entries(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(one.word, " ".join(one.phones)) for one in read_entries(path, "")]


@pytest.mark.parametrize(
    "line",
    [
        "three th r iy1",
        "three th r iy1 # number, small",
        "three th r iy1\t#number",
        "three(2) th r iy1",
        "\ufeffthree th r iy1\r\n\r\n",
        "three\tth r iy1 ",
        "# a comment\nthree th r iy1",
        ";;; CMUdict\n;comment\nthree th r iy1",
        "three th r iy1 ;;; number",
    ],
)
def test_comments_variants_and_line_ends(tmp_path, line):
    assert entries(tmp_path / "d", line) == [("three", "th r iy1")]


@pytest.mark.parametrize(
    "text",
    [
        "euh 2\npeu p 2\n",
        "euh 2 R\nneuf n 9 f\n",
        "un 9~\nle l @\nsoeur 9 9\n",
        "a 0 1\nb 2 1\n",
        "one 1 b\nbat b a\n",
    ],
)
def test_numbers_are_phones_where_they_are_no_column(tmp_path, text):
    found = entries(tmp_path / "d", text)
    assert [" ".join(one) for one in found] == text.split("\n")[:-1]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one 1.0 w ah n\ntwo 0.5 t uw\n", 1),
        ("one 1 w ah n\ntwo 1 t uw\n", 1),
        ("one w ah n\ntwo 0.5 t uw\n", 2),
        ("one 1e-3 w ah n\n", 1),
        ("one .25 w ah n\n", 1),
        ("one 0.9 0.4 1.1 0.97 w ah n\ntwo 0.5 0.4 1.1 0.97 t uw\n", 1),
    ],
)
def test_probabilities_are_refused_by_line(tmp_path, text, line):
    with pytest.raises(InputError, match=rf"d:{line}: the probability"):
        entries(tmp_path / "d", text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("two\u00a0three t uw", r"d:1: U\+00A0 \(NO-BREAK SPACE\) inside"),
        ("one w\ntwo t\u2028uw", r"d:2: U\+2028 \(LINE SEPARATOR\)"),
        ("one w\ntwo t\u3000uw", r"d:2: U\+3000"),
        ("one w\x85ah n", r"d:1: U\+0085"),
        ("one w\rtwo t", r"d:1: U\+000D"),
        ("one w\x0bah", r"d:1: U\+000B"),
        (b"one w\ncaf\xe9 k", r"d: not UTF-8 at byte 9, in line 2"),
        ("<eps> sil", "'<eps>' is reserved"),
        ("<s> SIL", "'<s>' is reserved"),
        ("#0 SIL", "'#0' is reserved"),
        ("yes y #1", "'#1' is reserved"),
        ("yes", "'yes' has no phones"),
        ("yes # no phones", "'yes' has no phones"),
        ("yes ;comment", "';comment' in the place of the first phone"),
        ("YES [yes] y e s", "'\\[yes\\]' in the place of the first phone"),
    ],
)
def test_what_is_no_entry_is_refused_by_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        entries(tmp_path / "d", text)


def test_kaldi_s_lexicon_has_the_project_s_silence_noise_and_unknown_word(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text("!SIL SIL\n<UNK> SPN\n[noise] NSN\none W AH1 N\n")
    lexicon = read_lexicon(path, "en")
    assert lexicon.pronunciations["<unk>"] == (("spn",),)
    assert lexicon.pronunciations["!SIL"] == (("sil",),)
    assert phone_table([lexicon]).symbols[:4] == ("<eps>", "sil", "spn", "nsn")
    assert not {"SIL", "SPN", "NSN"} & lexicon.phones


def test_both_unknown_words_stay_where_a_lexicon_has_both(tmp_path):
    (tmp_path / "lexicon.txt").write_text("<UNK> a\n<unk> spn\n")
    assert set(read_lexicon(tmp_path / "lexicon.txt", "en").pronunciations) == {"<UNK>", "<unk>"}


def test_composed_and_decomposed_words_are_one(tmp_path):
    (tmp_path / "lexicon.txt").write_text("e\u0301te\u0301 e\n\u00e9t\u00e9 a\n")
    pronunciations = read_lexicon(tmp_path / "lexicon.txt", "fr").pronunciations
    assert pronunciations == {"\u00e9t\u00e9": (("e",), ("a",))}


def test_phones_without_training_data_are_named(tmp_path, caplog):
    (tmp_path / "en").mkdir()
    (tmp_path / "en/lexicon.txt").write_text("one w n\ntwo t BRTH\n<unk> spn\n")
    with caplog.at_level(logging.WARNING):
        lexicons_of(tmp_path, ["en"], {"a": Transcript(["one"], "en")})
    assert "en: 2 phones of the lexicon are in no training transcript and get no data: BRTH t" in (
        caplog.text
    )
