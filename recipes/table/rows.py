"""Reads tables of recordings, with tabs or commas between columns, as from spreadsheets."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.fields import composed
from asr_hf.runtime.errors import InputError

# Names that columns may have, in lower case.
NAMES = {
    "audio": ("audio", "path", "file", "filename", "wav", "recording"),
    "text": ("text", "transcript", "transcription", "sentence", "words"),
    "id": ("id", "utterance", "utterance_id", "utt"),
    "speaker": ("speaker", "speaker_id", "client_id", "spk"),
    "split": ("split", "set", "subset", "part"),
    "language": ("language", "lang", "locale"),
    "start": ("start", "begin", "offset"),
    "end": ("end", "stop"),
    "channel": ("channel",),
}
SETS = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "val": "dev",
    "test": "test",
    "eval": "test",
}
_NEEDED = ("audio", "text")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        line: number of the line, for messages.
        audio: audio file as written.
        text: transcript as written.
        id, speaker, split, language: values of the table; empty where it has none.
        start, end: times in seconds; None for the whole recording.
        channel: 0-based channel; None where the table does not say.
    """

    line: int
    audio: str
    text: str
    id: str
    speaker: str
    split: str
    language: str
    start: float | None
    end: float | None
    channel: int | None


def read_rows(path: Path) -> list[Row]:
    """Read a table with a header; commas separate columns in .csv files, tabs in others.

    Returns:
        The rows in the order of the table.

    Raises:
        InputError: the table cannot be read, lacks a column, has a column twice, or a field is
            malformed.
    """
    separator = "," if path.suffix.lower() == ".csv" else "\t"
    lines = _fields(path, separator)
    header = next(lines, (0, []))[1]
    columns = _columns(path, header, separator)
    rows = []
    for number, fields in lines:
        if not any(fields):
            continue
        if len(fields) != len(header):
            raise InputError(
                f"{path}:{number}: {len(fields)} fields",
                expected=f"{len(header)}, as in the header",
                remedy="quote fields that hold a comma" if separator == "," else "mend the line",
            )
        rows.append(_row(path, number, {name: fields[at] for name, at in columns.items()}))
    if not rows:
        raise InputError(f"{path}: no recordings", expected="a header, and a line for each")
    return rows


def _fields(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    # Files with tabs have no quoting: a quotation mark is part of the text.
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(
                file,
                delimiter=separator,
                quoting=csv.QUOTE_MINIMAL if separator == "," else csv.QUOTE_NONE,
                strict=True,
            )
            for fields in reader:
                yield reader.line_num, [field.strip() for field in fields]
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}",
            expected="a table of recordings",
            remedy="name it with table=FILE (or corpus.table=FILE)",
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: {error}", expected="UTF-8 text", remedy="save the table as UTF-8"
        ) from error


def _columns(path: Path, header: list[str], separator: str) -> dict[str, int]:
    """Find the index of each known column; other columns are ignored."""
    places: dict[str, int] = {}
    for at, title in enumerate(header):
        for name, names in NAMES.items():
            if title.lower() in names:
                if name in places:
                    raise InputError(
                        f"{path}:1: columns {header[places[name]]!r} and {title!r} are both {name}",
                        remedy="rename or remove one",
                    )
                places[name] = at
    if missing := [name for name in _NEEDED if name not in places]:
        kind = "commas" if separator == "," else "tabs"
        raise InputError(
            f"{path}:1: no column {' or '.join(missing)} among {', '.join(header) or 'none'}",
            expected=f"a header with {kind} between its columns, "
            + " and ".join(f"one of {', '.join(NAMES[name])}" for name in missing),
        )
    return places


def _row(path: Path, number: int, fields: dict[str, str]) -> Row:
    split = fields.get("split", "").lower()
    if split and split not in SETS:
        raise InputError(
            f"{path}:{number}: split {split!r}", expected=f"one of {', '.join(SETS)}, or empty"
        )
    channel = fields.get("channel", "")
    if channel and not re.fullmatch("0*[1-9][0-9]{0,8}", channel):
        raise InputError(f"{path}:{number}: channel {channel!r}", expected="1, 2, ... or empty")
    start, end = (_seconds(path, number, key, fields.get(key, "")) for key in ("start", "end"))
    if end is not None and not (start or 0.0) < end:
        raise InputError(
            f"{path}:{number}: from {start or 0:g} to {end:g} s", expected="an end after the start"
        )
    if not fields["audio"]:
        raise InputError(f"{path}:{number}: no audio file", remedy="name it, or remove the line")
    return Row(
        number,
        fields["audio"],
        fields["text"],
        fields.get("id", ""),
        fields.get("speaker", ""),
        SETS.get(split, ""),
        composed(fields.get("language", "")),
        start,
        end,
        int(channel) - 1 if channel else None,
    )


def _seconds(path: Path, number: int, name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e7:
        raise InputError(f"{path}:{number}: {name} {text!r}", expected="seconds, 0 or more")
    return value
