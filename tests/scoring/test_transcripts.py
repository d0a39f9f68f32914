"""Transcript tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_hf.runtime.errors import InputError
from asr_hf.scoring.transcripts import read_table


def test_words_by_utterance_in_file_order(tmp_path: Path) -> None:
    path = tmp_path / "hyp.txt"
    path.write_text("\ufeffb one  two\na\nc три\n", encoding="utf-8")
    assert list(read_table(path).items()) == [("b", ["one", "two"]), ("a", []), ("c", ["три"])]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a one\n\nb two\n", "line 2: empty"),
        (b"a one\na two\n", "line 2: utterance a comes a second time"),
        (b"a caf\xe9\n", "not UTF-8"),
    ],
)
def test_broken_tables_are_named(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "hyp.txt").write_bytes(content)
    with pytest.raises(InputError, match=problem):
        read_table(tmp_path / "hyp.txt")


def test_missing_table_says_to_decode(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="asr-hf decode"):
        read_table(tmp_path / "absent.txt")
