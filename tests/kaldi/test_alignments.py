from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.kaldi.alignments import read_alignments
from asr_hf.kaldi.integer_table import read_integer_table
from asr_hf.runtime.errors import InputError

from .experiments import binary_entry, make_alignment_folder, text_entry, write_alignments

UTTERANCES = {
    "spk1-a": np.array([1, 1, 3, 6, 8], np.int32),
    "spk1-b": np.array([11, 12, 13], np.int32),
    "spk2-c": np.array([2], np.int32),
}


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_pdfs_of_transition_ids(tmp_path: Path, real: SimpleNamespace, binary: bool) -> None:
    folder = make_alignment_folder(tmp_path / "ali", real, binary)
    write_alignments(folder, UTTERANCES, 2, binary)
    found = read_alignments([folder])
    pdf_of = np.asarray(real.transitions.transition_id_to_pdf_array())
    assert found.num_pdfs == real.transitions.num_pdfs
    assert sorted(found.pdfs) == sorted(UTTERANCES)
    for name, ids in UTTERANCES.items():
        np.testing.assert_array_equal(found.pdfs[name], pdf_of[ids])


def test_many_files_are_taken_in_the_order_of_their_numbers(
    tmp_path: Path, real: SimpleNamespace
) -> None:
    folder = make_alignment_folder(tmp_path / "ali", real, False)
    utterances = {f"u{n:02d}": np.array([n % 5 + 1], np.int32) for n in range(12)}
    write_alignments(folder, utterances, 12, True)
    assert list(read_alignments([folder]).pdfs) == list(utterances)


def test_two_folders_of_one_model(tmp_path: Path, real: SimpleNamespace) -> None:
    first, second = (
        make_alignment_folder(tmp_path / name, real, False) for name in ("ali", "ali_dev")
    )
    write_alignments(first, UTTERANCES, 1, True)
    write_alignments(second, {"dev": np.array([1], np.int32)}, 1, False)
    assert sorted(read_alignments([first, second]).pdfs) == ["dev", *sorted(UTTERANCES)]
    write_alignments(second, {"spk2-c": np.array([1], np.int32)}, 1, False)
    with pytest.raises(InputError, match="spk2-c: it is in another folder"):
        read_alignments([first, second])


def test_what_is_wrong_is_named(tmp_path: Path, real: SimpleNamespace) -> None:
    folder = make_alignment_folder(tmp_path / "ali", real, False)
    with pytest.raises(InputError, match=r"no files ali\.\*\.gz"):
        read_alignments([folder])
    write_alignments(folder, {"u": np.array([1, 99], np.int32)}, 1, True)
    with pytest.raises(InputError, match="alignment of u: 99 at frame 1"):
        read_alignments([folder])
    write_alignments(folder, UTTERANCES, 2, True)
    (folder / "ali.2.gz").rename(folder / "ali.1")
    with pytest.raises(InputError, match=r"ali\.1\.gz: beside ali\.1"):
        read_alignments([folder])
    (folder / "ali.1").unlink()
    with pytest.raises(InputError, match=r"ali\.2\.gz is missing"):
        read_alignments([folder])
    write_alignments(folder, UTTERANCES, 2, False)
    raw = (folder / "ali.2.gz").read_bytes()
    (folder / "ali.2.gz").write_bytes(raw[:-9])
    with pytest.raises(InputError, match=r"ali\.2\.gz: cannot be read"):
        read_alignments([folder])
    (folder / "ali.2.gz").write_bytes(gzip.compress(text_entry("spk1-a", UTTERANCES["spk1-a"])))
    with pytest.raises(InputError, match="spk1-a: for the second time"):
        read_alignments([folder])
    (folder / "tree").write_text("ContextDependency 1 0 ToPdf CE 3 EndContextDependency ")
    with pytest.raises(InputError, match="tree: 4 pdfs"):
        read_alignments([folder])
    with pytest.raises(InputError, match="there is no such folder"):
        read_alignments([tmp_path / "other"])


def test_a_job_that_aligned_nothing(tmp_path: Path, real: SimpleNamespace) -> None:
    folder = make_alignment_folder(tmp_path / "ali", real, False)
    write_alignments(folder, {"u": np.array([1], np.int32)}, 2, True)
    assert list(read_alignments([folder]).pdfs) == ["u"]
    write_alignments(folder, {}, 2, True)
    with pytest.raises(InputError, match="no alignments"):
        read_alignments([folder])


TABLES = st.dictionaries(
    st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1),
    st.lists(st.integers(-(2**31), 2**31 - 1), max_size=6),
    max_size=4,
)


@settings(max_examples=25)
@given(TABLES, st.booleans())
def test_tables_come_back(table: dict[str, list[int]], binary: bool) -> None:
    entry = binary_entry if binary else text_entry
    raw = b"".join(entry(key, np.array(ids, np.int32)) for key, ids in table.items())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ali.1"
        path.write_bytes(raw)
        assert {k: v.tolist() for k, v in read_integer_table(path)} == table


def test_every_truncation_of_a_binary_table_is_refused_or_shorter(tmp_path: Path) -> None:
    raw = b"".join(binary_entry(key, ids) for key, ids in UTTERANCES.items())
    whole = dict(UTTERANCES)
    for size in range(len(raw)):
        path = tmp_path / "ali.1"
        path.write_bytes(raw[:size])
        try:
            found = dict(read_integer_table(path))
        except InputError as error:
            assert "ali.1: byte" in error.problem
            continue
        assert all(np.array_equal(whole[key], ids) for key, ids in found.items())
        assert len(found) < len(whole)


@pytest.mark.parametrize("text", ["1_2 3", "1.5", "0x3", "3 1e1", "1 -_2"])
def test_what_python_takes_for_an_integer_and_kaldi_does_not(tmp_path: Path, text: str) -> None:
    (tmp_path / "ali.1").write_text(f"u {text}\n")
    with pytest.raises(InputError, match=r"ali\.1: byte"):
        dict(read_integer_table(tmp_path / "ali.1"))


@pytest.mark.parametrize("key", ["a\u00a0b", "\u3000", "é", "a\u200bb"])
@pytest.mark.parametrize("entry", [text_entry, binary_entry])
def test_names_hold_all_but_ascii_blanks(tmp_path: Path, key: str, entry) -> None:
    (tmp_path / "ali.1").write_bytes(entry(key, np.array([4, 5], np.int32)))
    assert list(dict(read_integer_table(tmp_path / "ali.1"))) == [key]
