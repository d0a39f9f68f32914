"""Language models as toolkits write them: taken for what they are, or refused by line."""

from __future__ import annotations

import gzip
import io
import logging

import pytest

from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.arpa import arpa_unigrams, write_plain
from asr_hf.hmm.graph.language import check_languages
from asr_hf.hmm.graph.lexicon import Lexicon, word_table
from asr_hf.hmm.graph.ngram import estimate_ngram
from asr_hf.runtime.errors import InputError

WORDS = word_table(Lexicon("en", {"one": (("w",),), "two": (("t",),)}))
KNOWING = word_table(Lexicon("en", {"one": (("w",),), "two": (("t",),), "<unk>": (("spn",),)}))
MODEL = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-99\t<s>\t-0.3
-0.5\tone\t-0.2
-0.6\ttwo
-0.7\t</s>

\\2-grams:
-0.1\t<s> one
-0.2\tone two

\\end\\
"""


def plain(path, content, words=WORDS):
    """What the library is given of a model."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    out = io.StringIO()
    write_plain(path, words, out)
    return out.getvalue()


def with_unknown(name="<unk>"):
    return MODEL.replace("1=4", "1=5").replace("-0.7\t", f"-1.5\t{name}\t-0.1\n-0.7\t", 1)


@pytest.mark.parametrize(
    "written",
    [
        MODEL.replace("\n", "\r\n"),
        "\ufeff" + MODEL,
        MODEL.replace("\t", " "),
        MODEL.replace("\t", "  \t "),
        "made by hand\n\n" + MODEL,
        MODEL + "and more\n",
        MODEL.replace("ngram 1=4", "ngram  1 = 4"),
        MODEL.replace("-0.2\tone two", "-0.2\tone two\t0"),
        gzip.compress(MODEL.encode()),
    ],
)
def test_a_model_is_the_same_however_it_is_written(tmp_path, written):
    assert plain(tmp_path / "lm.arpa", written) == MODEL


@pytest.mark.parametrize("name", ["<unk>", "<UNK>", "<Unk>"])
def test_unknown_words_are_left_out_where_the_lexicon_has_none(tmp_path, name):
    assert plain(tmp_path / "lm.arpa", with_unknown(name)) == MODEL


@pytest.mark.parametrize("name", ["<unk>", "<UNK>"])
def test_unknown_words_stay_where_the_lexicon_has_them(tmp_path, name):
    assert plain(tmp_path / "lm.arpa", with_unknown(name), KNOWING) == with_unknown()


def test_what_is_left_out_is_logged_with_a_count(tmp_path, caplog):
    path = tmp_path / "lm.arpa"
    path.write_text(
        with_unknown()
        .replace("2=2", "2=3")
        .replace("-0.2\tone two", "-0.2\tone two\n-1\t<unk> one")
    )
    with caplog.at_level(logging.INFO):
        grammar = fsts.grammar(path, WORDS)
    assert "lm.arpa: left out of the grammar: 2 n-grams with <unk>" in caplog.text
    assert KNOWING.id("<unk>") not in fsts.input_labels(grammar) - {
        WORDS.id("one"),
        WORDS.id("two"),
    }


def test_no_bigram_is_left_when_all_have_unknown_words(tmp_path):
    text = with_unknown().replace("<s> one", "<s> <unk>").replace("one two", "<unk> two")
    found = plain(tmp_path / "lm.arpa", text)
    assert "ngram 2" not in found and "-0.5\tone\n" in found
    assert fsts.grammar(tmp_path / "lm.arpa", WORDS).num_states


@pytest.mark.parametrize("value", ["-inf", "-INF", "-Infinity"])
def test_probabilities_of_nought_are_those_of_srilm(tmp_path, value):
    text = MODEL.replace("-0.6", value).replace("-0.2\n", f"{value}\n", 1)
    assert "-99\ttwo" in plain(tmp_path / "lm.arpa", text)
    assert fsts.grammar(tmp_path / "lm.arpa", WORDS).num_states


def test_foreign_words_without_probability_are_left_out(tmp_path):
    text = MODEL.replace("1=4", "1=5").replace("-0.7", "-inf\tthree\n-0.7")
    assert plain(tmp_path / "lm.arpa", text) == MODEL


def test_composed_and_decomposed_words_are_one(tmp_path):
    words = word_table(Lexicon("fr", {"\u00e9t\u00e9": (("e",),), "two": (("t",),)}))
    assert "\t\u00e9t\u00e9\t" in plain(
        tmp_path / "lm.arpa", MODEL.replace("one", "e\u0301te\u0301"), words
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MODEL.replace("-0.7\t</s>\n", "").replace("1=4", "1=3"), "no unigram </s>"),
        (MODEL.replace("<s>", "one"), "no unigram <s>"),
        (MODEL.replace("\\end\\\n", ""), r"cut short: no \\end"),
        (MODEL[:90], r"lm\.arpa:11: not an ARPA"),
        (MODEL.replace("1=4", "1=5"), r"lm\.arpa:11: 4 1-grams before this line"),
        (MODEL.replace("2=2", "2=1"), r"lm\.arpa:15: 2 2-grams before this line"),
        (MODEL.replace("ngram 2=2\n", ""), r"lm\.arpa:10: not an ARPA"),
        (MODEL.replace("one two", "one three"), r"lm\.arpa:13: 'three' is no unigram"),
        (
            MODEL.replace("-0.6\ttwo", "-0.6\tthree").replace("one two", "one one"),
            r"lm\.arpa:8: 1 words are not in the lexicon, the first 'three'",
        ),
        (MODEL.replace("-0.5", "0.5"), r"lm\.arpa:7: bad unigram line"),
        (MODEL.replace("-0.5", "nan"), r"lm\.arpa:7: bad unigram line"),
        (MODEL.replace("-0.2\tone two", "-0.2\tone"), r"lm\.arpa:13: bad bigram line"),
        (MODEL.replace("\tone\t-0.2", "\tone\t-0.2\t-0.3"), r"lm\.arpa:7: bad unigram line"),
        (MODEL.replace("one", "two\u00a0three"), r"lm\.arpa:7: 1 words"),
        (MODEL.encode().replace(b"one", b"caf\xe9"), r"lm\.arpa: not UTF-8 at byte .*, in line 7"),
        (b"\x1f\x8b\x08broken", "cannot be read"),
        ("hello\n", r"no \\data"),
        ("\\1-grams:\n-0.5 one\n", r"no \\data"),
        (MODEL.replace("ngram 1=4", "ngram 1=many"), r"lm\.arpa:2: 'ngram 1=many'"),
    ],
)
def test_malformed_models_are_refused_with_file_and_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        plain(tmp_path / "lm.arpa", text)


def test_a_model_that_would_fill_the_memory_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"lm\.arpa: more than .* bytes when unpacked"):
        plain(tmp_path / "lm.arpa", gzip.compress(bytes(50_000_000)))


def test_lexicons_and_models_are_checked_before_anything_is_made(tmp_path):
    folder = tmp_path / "en"
    folder.mkdir()
    (folder / "lexicon.txt").write_text("one w\ntwo t\n")
    (folder / "lm.arpa").write_text(MODEL)
    check_languages(tmp_path, ["en"])
    (folder / "lm.arpa").write_text(MODEL.replace("\\end\\", ""))
    with pytest.raises(InputError, match=r"en/lm\.arpa: .*cut short"):
        check_languages(tmp_path, ["en"])


def test_the_project_s_own_models_fit_a_lexicon_without_the_unknown_word(tmp_path):
    text = estimate_ngram([["one", "two"], ["two", "three"]], ["one", "two"], 3)
    assert "<unk>" in text
    assert plain(tmp_path / "lm.arpa", text, KNOWING) == text
    found = plain(tmp_path / "lm.arpa", text)
    assert "<unk>" not in found and "\tone two" in found


def test_warnings_of_the_library_are_logged(tmp_path, caplog):
    path = tmp_path / "lm.arpa"
    # A trigram whose own beginning is no bigram, as some toolkits prune.
    path.write_text(
        MODEL.replace("2=2", "2=2\nngram 3=1").replace(
            "\\end\\", "\\3-grams:\n-0.3\ttwo one two\n\n\\end\\"
        )
    )
    with caplog.at_level(logging.WARNING):
        fsts.grammar(path, WORDS)
    assert f"{path}: [W]" in caplog.text


def test_unigrams_are_read_without_the_rest(tmp_path):
    (tmp_path / "lm.arpa").write_text(MODEL.replace("one two", "one"))
    assert [word for word, _ in arpa_unigrams(tmp_path / "lm.arpa")] == [
        "<s>",
        "one",
        "two",
        "</s>",
    ]
