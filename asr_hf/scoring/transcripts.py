"""Transcript tables: `utterance word word ...`, one utterance a line."""

from __future__ import annotations

from pathlib import Path

from asr_hf.runtime.errors import InputError


def read_table(path: Path) -> dict[str, list[str]]:
    """Read a table of utterances with their words, or with any other fields (utt2lang).

    Raises:
        InputError: the file is missing or not UTF-8, a line is empty, an utterance comes twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}",
            expected="one line an utterance: its name, then its words",
            remedy="decode first: asr-hf decode",
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8: {error}", remedy="convert it to UTF-8") from error
    table: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields:
            raise InputError(f"{path}, line {number}: empty", expected="utterance word word ...")
        name = fields[0]
        if name in table:
            raise InputError(
                f"{path}, line {number}: utterance {name} comes a second time",
                remedy="keep one line for each utterance",
            )
        table[name] = fields[1:]
    return table
