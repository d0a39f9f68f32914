"""One rule for lines and blanks, in every file."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.data.fields import existing_file, lines_of, other_space, read_lines, words_of
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.validate import validate
from asr_hf.hmm.alignment.corpus import transcripts_of
from asr_hf.hmm.graph.lexicon import Lexicon, SymbolTable, word_table
from asr_hf.hmm.graph.weak_lm import weak_lm
from asr_hf.runtime.errors import InputError
from asr_hf.scoring.ctm import CtmWord, read_ctm, write_ctm
from asr_hf.scoring.transcripts import read_table

# White space for Python, and for nobody else.
TRAPS = ["\u00a0", "\u2028", "\u2029", "\u0085", "\u3000", "\x1c", "\x0b", "\x0c", "\u2009"]


@given(st.lists(st.text(alphabet="ab\u00a0\u2028\u0085\x1c\x0b", min_size=1), max_size=4))
def test_words_survive_a_line_and_lines_a_file(words):
    assert words_of(" ".join(words)) == words
    assert words_of("\t".join(words) + " \r\n") == words
    assert lines_of("".join(f"{word}\n" for word in words)) == words


@pytest.mark.parametrize("space", TRAPS)
def test_no_file_is_parted_at_other_white_space(tmp_path: Path, space: str):
    word = f"two{space}three"
    path = tmp_path / "file"
    path.write_text(f"a {word} one\nb one\n", newline="")
    assert read_table(path) == {"a": [word, "one"], "b": ["one"]}
    assert len(read_lines(path, "the file")) == 2
    write_ctm(path, [CtmWord("r", "1", 0.0, 1.0, word)])
    assert [one.word for one in read_ctm(path)] == [word]
    table = word_table(Lexicon("en", {word: (("t",),)}))
    path.write_text(table.text(), newline="")
    assert SymbolTable.read(path) == table
    path.write_text(f"{word}\n", newline="")
    model = weak_lm(path, Lexicon("en", {word: (("t",),), "two": (("t",),)}), 2)
    assert f"<s> {word}" in model


@pytest.mark.parametrize("space", TRAPS)
def test_other_white_space_in_a_transcript_is_named_and_mended(tmp_path, corpus, space):
    text = (corpus.path / "text").read_text().split("\n")
    text[0] = f"{text[0].split(' ')[0]} two{space}three"
    (corpus.path / "text").write_text("\n".join(text), newline="")
    found = [str(problem) for problem in validate(corpus.path)]
    assert len(found) == 1 and f"text:1: s0-u00: U+{ord(space):04X}" in found[0]
    with pytest.raises(InputError, match=rf"text: utterance s0-u00: U\+{ord(space):04X}"):
        transcripts_of(DataDir.read(corpus.path), ["en"])
    assert not validate(corpus.path, fix=True)
    assert transcripts_of(DataDir.read(corpus.path), ["en"])["s0-u00"].words == ["two", "three"]


@pytest.mark.parametrize("line", ["one two", " one\ttwo \r\n", "", "été שלום", "می\u200cخواهم"])
def test_blanks_and_joiners_are_no_other_white_space(line):
    assert not other_space(line)


@pytest.mark.parametrize("disk", ["NFC", "NFD"])
@pytest.mark.parametrize("name", ["é.wav", "ñ/é.wav", "Å/ガ/한.wav", "plain/ö.wav"])
def test_a_name_is_found_in_either_form(tmp_path, disk, name):
    path = tmp_path / unicodedata.normalize(disk, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    for form in ("NFC", "NFD"):
        found = existing_file(str(tmp_path / unicodedata.normalize(form, name)))
        assert found == str(path)
    missing = str(tmp_path / "ñ" / "ü.wav")
    assert not Path(existing_file(missing)).exists()


def test_audio_is_found_in_either_form_by_validate(corpus):
    wav = corpus.path.parent / "wav" / "s1-u01.wav"
    wav.rename(wav.with_name(unicodedata.normalize("NFD", "é.wav")))
    scp = corpus.path / "wav.scp"
    scp.write_text(scp.read_text().replace("s1-u01.wav", "é.wav"))
    assert not validate(corpus.path)


def test_wav_scp_names_a_file_in_either_form(tmp_path):
    wav = tmp_path / unicodedata.normalize("NFD", "é.wav")
    wav.write_bytes(b"")
    utterances = [Utterance("a", "s", "a")]
    DataDir(tmp_path / "d", utterances, {"a": str(tmp_path / "é.wav")}).write()
    assert DataDir.read(tmp_path / "d").wavs == {"a": str(wav)}
