"""Every parser of outside files, with valid files for it to be fuzzed from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def _as_it_is(content: bytes) -> bytes:
    return content


def with_digest(content: bytes) -> bytes:
    """A checkpoint's body with its checksum, which would else hide the parser behind it."""
    body = content[hashlib.sha256().digest_size :]
    return hashlib.sha256(body).digest() + body


@dataclass(frozen=True)
class Parser:
    """A parser and its valid files.

    Args:
        name: for reports and for the folder of its cases.
        make: writes the valid files into a folder.
        parse: reads them, and uses what it read as far as a file can still do harm.
        files: patterns of the files that are mutated, one at a time.
        tokens: words of the format.
        seal: done to a mutated file.
        names_files: whether its errors must name a file of the folder.
    """

    name: str
    make: Callable[[Path], None]
    parse: Callable[[Path], object]
    files: tuple[str, ...] = ("*",)
    tokens: tuple[bytes, ...] = ()
    seal: Callable[[bytes], bytes] = _as_it_is
    names_files: bool = True
