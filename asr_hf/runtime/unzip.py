"""Reads gzipped files, with a limit to their unzipped size.

A kilobyte of gzip can stand for a megabyte. Alignments, lattices and tables shrink by a factor of 5
to 20; a file that unzips to far more is damaged, or is meant to fill the memory.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import BinaryIO, cast

MAGIC = b"\x1f\x8b"
_MAX_RATIO = 100
# Small files may exceed the ratio: a file of one long silence shrinks by more.
_ALWAYS_ALLOWED = 64 << 20
_PIECE = 1 << 20


class TooLarge(ValueError):
    """A gzipped file unzips to more bytes than a file of its size may."""


def max_unzipped(size: int) -> int:
    """Return the number of bytes that a gzipped file of `size` bytes may unzip to."""
    return max(_ALWAYS_ALLOWED, _MAX_RATIO * size)


class LimitedGzipFile(gzip.GzipFile):
    """A gzipped stream that can be read up to the limit of `max_unzipped`.

    Reading raises TooLarge beyond the limit, and OSError, EOFError or zlib.error where the file is
    damaged.

    Args:
        file: gzipped file, open at its beginning.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._packed = os.fstat(file.fileno()).st_size
        self._most = max_unzipped(self._packed)

    def read(self, size: int | None = -1) -> bytes:
        """Read `size` bytes, or all that are left."""
        if size is not None and size >= 0:
            return self._checked(super().read(size))
        pieces = []
        while piece := self._checked(super().read(_PIECE)):
            pieces.append(piece)
        return b"".join(pieces)

    def readline(self, size: int | None = -1) -> bytes:
        """Read to the end of the line."""
        given = size is not None and size >= 0
        return self._checked(super().readline(size if given else self._most + 1))

    def _checked(self, content: bytes) -> bytes:
        if self.tell() > self._most:
            raise TooLarge(
                f"{self._packed} bytes of gzip stand for more than {self._most >> 20} MiB: "
                "gunzip it, if it is what it should be"
            )
        return content


def unzipped(file: BinaryIO) -> BinaryIO:
    """Return a stream of the content of an open file, which is unzipped if it is gzipped."""
    zipped = file.read(len(MAGIC)) == MAGIC
    file.seek(0)
    return cast(BinaryIO, LimitedGzipFile(file)) if zipped else file


def read_unzipped(path: Path | str) -> bytes:
    """Return the content of a file, which is unzipped if it is gzipped.

    Raises:
        OSError: the file is missing, damaged, or unzips to too much; strerror says what is wrong.
    """
    with open(path, "rb") as file:
        try:
            return unzipped(file).read()
        except (EOFError, zlib.error, TooLarge) as error:
            raise OSError(0, str(error)) from error
        except MemoryError as error:
            raise OSError(0, "it does not fit into memory") from error
