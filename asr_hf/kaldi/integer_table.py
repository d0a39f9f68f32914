"""Reads archives of integer vectors (alignments), binary or text, gzipped or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_hf.kaldi.reader import KaldiReader, file_contents

# Every number of an integer vector follows a byte that gives its size.
_SIZED_INT = np.dtype([("size", "i1"), ("value", "<i4")])


def read_integer_table(path: Path) -> Iterator[tuple[str, NDArray[np.int32]]]:
    """Read all entries of an archive.

    Yields:
        The key of an entry and its integers [N].

    Raises:
        InputError: the file cannot be read, or an entry is damaged; the message names it.
    """
    reader = KaldiReader(file_contents(path), str(path), binary=False)
    last = "the beginning of the file"
    while (key := table_key(reader, last)) is not None:
        if reader.data[reader.at : reader.at + 2] == b"\0B":
            reader.at += 2
            yield key, _binary(reader, key)
        else:
            yield key, _text(reader, key)
        last = f"the entry {key}"


def table_key(reader: KaldiReader, last: str) -> str | None:
    """Read the key of the next entry, leaving the reader behind the blank that follows it.

    Args:
        reader: reader of an archive.
        last: the item before it, for messages.

    Returns:
        The key; None at the end of the archive.
    """
    data, start = reader.data, reader.at
    while start < len(data) and data[start] in b" \t\r\n":
        start += 1
    if start == len(data):
        return None
    end = start
    while end < len(data) and data[end] not in b" \t\n":
        end += 1
    reader.at = start
    try:
        key = data[start:end].decode()
    except UnicodeDecodeError:
        key = ""
    # Kaldi takes any bytes that are no blanks; a no-break space is none.
    if end == len(data) or not key or any(c < " " or c == "\x7f" for c in key):
        reader.fail(f"{data[start : start + 20]!r} after {last}", "the key of an entry")
    # A line feed after a key belongs to its value: an empty line, or a lattice.
    reader.at = end + (data[end] != ord("\n"))
    return key


def _binary(reader: KaldiReader, key: str) -> NDArray[np.int32]:
    what = f"the integers of {key}"
    start = reader.at
    reader.binary = True
    count = reader.integer(what)
    reader.binary = False
    bytes_left = len(reader.data) - reader.at
    if not 0 <= count * _SIZED_INT.itemsize <= bytes_left:
        reader.fail(f"a count of {count} with {bytes_left} bytes left", what, start)
    numbers = np.frombuffer(reader.take(count * _SIZED_INT.itemsize, what), _SIZED_INT)
    if not (numbers["size"] == 4).all():
        reader.fail("integers of other than 4 bytes", what, start)
    return numbers["value"].astype(np.int32)


def _text(reader: KaldiReader, key: str) -> NDArray[np.int32]:
    start = reader.at
    end = reader.data.find(b"\n", start)
    reader.at = len(reader.data) if end < 0 else end + 1
    words = reader.data[start : reader.at].split()
    if end < 0 and not words:
        reader.fail("the file ends", f"the integers of {key}", start)
    try:
        if b"_" in reader.data[start : reader.at]:
            # Python reads 1_2 as 12.
            raise ValueError("an underscore among the integers")
        return np.array([int(word) for word in words], np.int32)
    except (ValueError, OverflowError) as error:
        reader.fail(str(error), f"the integers of {key}", start)
