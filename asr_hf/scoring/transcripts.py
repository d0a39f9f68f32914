"""Reads tables of transcripts, with a line `utterance word word ...` for each utterance."""

from __future__ import annotations

from pathlib import Path

from asr_hf.data.fields import composed, read_lines, words_of
from asr_hf.runtime.errors import InputError


def read_table(path: Path) -> dict[str, list[str]]:
    """Read a table of utterances with their words, or with other fields (utt2lang).

    Args:
        path: the file.

    Returns:
        The words of each utterance, in the order of the file.

    Raises:
        InputError: the file is missing or not UTF-8, a line is empty, or an utterance comes twice.
    """
    lines = read_lines(path, "the table of transcripts", "decode first: asr-hf decode")
    table: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        fields = words_of(line)
        if not fields:
            raise InputError(f"{path}, line {number}: empty", expected="utterance word word ...")
        name = fields[0]
        if name in table:
            raise InputError(
                f"{path}, line {number}: utterance {name} comes a second time",
                remedy="keep one line for each utterance",
            )
        table[name] = [composed(field) for field in fields[1:]]
    return table
