"""The file queen.1c: a table of entries and their content, one behind the other.

It begins with `QTBL`. From byte 13 stands the number of entries (16 bits), from byte 15 on 21 bytes
for each: 12 of its name, padded with NUL, one that does not matter here, its place and its size (32
bits each). All numbers are big-endian.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from asr_hf.runtime.errors import InputError

from .fields import FETCH

_MAGIC = b"QTBL"
_COUNT_AT, _TABLE_AT, _ROW = 13, 15, 21
_NAME = 12
# Names become names of files.
_SAFE = re.compile(r"[A-Z0-9_][A-Z0-9_.]*")


@dataclass(frozen=True)
class Entry:
    """Where the content of an entry lies.

    Args:
        at: number of its first byte.
        size: number of bytes.
    """

    at: int
    size: int


class Container:
    """The entries of a file queen.1c.

    Args:
        path: the file.

    Raises:
        InputError: it cannot be read, its table is cut short, or an entry has a name that is not
            one, comes twice or lies outside the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with open(path, "rb") as file:
                self.entries = _read_table(path, file)
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read: {error.strerror or error}", remedy=FETCH
            ) from error

    def content(self, name: str) -> bytes:
        """Read the bytes of an entry.

        Returns:
            As many bytes as the table says.

        Raises:
            InputError: there is no such entry, or the file cannot be read.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise InputError(
                f"{self.path}: no entry {name}",
                expected=f"one among its {len(self.entries)} entries",
                remedy=FETCH,
            )
        try:
            with open(self.path, "rb") as file:
                file.seek(entry.at)
                content = file.read(entry.size)
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be read: {error.strerror or error}", remedy=FETCH
            ) from error
        if len(content) != entry.size:
            raise InputError(
                f"{self.path}: {name}: {len(content)} bytes",
                expected=f"{entry.size}",
                remedy=FETCH,
            )
        return content


def _read_table(path: Path, file: BinaryIO) -> dict[str, Entry]:
    size = os.fstat(file.fileno()).st_size
    head = file.read(_TABLE_AT)
    if len(head) < _TABLE_AT or not head.startswith(_MAGIC):
        raise InputError(
            f"{path}: begins with {head[: len(_MAGIC)]!r}, {size} bytes",
            expected=f"a table of entries that begins with {_MAGIC!r}",
            remedy=FETCH,
        )
    (count,) = struct.unpack_from(">H", head, _COUNT_AT)
    table = file.read(count * _ROW)
    if len(table) < count * _ROW:
        raise InputError(
            f"{path}: {len(table)} bytes of its table of entries",
            expected=f"{count * _ROW}, for {count} entries",
            remedy=FETCH,
        )
    entries: dict[str, Entry] = {}
    for row in range(0, len(table), _ROW):
        name = _name(path, row // _ROW, table[row : row + _NAME])
        at, length = struct.unpack_from(">II", table, row + _NAME + 1)
        if name in entries:
            raise InputError(f"{path}: the entry {name} comes twice", remedy=FETCH)
        if at + length > size:
            raise InputError(
                f"{path}: {name}: {length} bytes from {at} on",
                expected=f"an entry within the {size} bytes of the file",
                remedy=FETCH,
            )
        entries[name] = Entry(at, length)
    return entries


def _name(path: Path, row: int, field: bytes) -> str:
    name = field.rstrip(b"\0").decode("ascii", "replace")
    if not _SAFE.fullmatch(name):
        raise InputError(
            f"{path}: entry {row + 1} is called {name!r}",
            expected="capitals, digits, low lines and dots",
            remedy=FETCH,
        )
    return name
