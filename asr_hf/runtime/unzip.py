"""Gzipped files, read no further than their size can honestly stand for.

A kilobyte of gzip may stand for a megabyte. Alignments, lattices and tables pack 5 to 20 times;
what stands for far more is damaged, or meant to fill the memory.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import BinaryIO, cast

MAGIC = b"\x1f\x8b"
_RATIO = 100
# A small file of one long silence packs better.
_ALWAYS = 64 << 20
_PIECE = 1 << 20


class TooLarge(ValueError):
    """A gzipped file stands for more than a file of its size may."""


def max_unzipped(size: int) -> int:
    """Return the bytes that a gzipped file of `size` bytes may stand for."""
    return max(_ALWAYS, _RATIO * size)


class Unzipping(gzip.GzipFile):
    """A gzipped stream, read to a limit.

    Args:
        file: open at its beginning.

    Raises:
        TooLarge: on reading beyond the limit.
        OSError, EOFError, zlib.error: it is damaged.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._packed = os.fstat(file.fileno()).st_size
        self._most = max_unzipped(self._packed)

    def read(self, size: int | None = -1) -> bytes:
        """Read so many bytes, or all that are left."""
        if size is not None and size >= 0:
            return self._checked(super().read(size))
        pieces = []
        while piece := self._checked(super().read(_PIECE)):
            pieces.append(piece)
        return b"".join(pieces)

    def readline(self, size: int | None = -1) -> bytes:
        """Read to the end of a line."""
        given = size is not None and size >= 0
        return self._checked(super().readline(size if given else self._most + 1))

    def _checked(self, found: bytes) -> bytes:
        if self.tell() > self._most:
            raise TooLarge(
                f"{self._packed} bytes of gzip stand for more than {self._most >> 20} MiB: "
                "gunzip it, if it is what it should be"
            )
        return found


def opened(file: BinaryIO) -> BinaryIO:
    """Return a stream of what is in an open file, unzipped where it is gzipped."""
    zipped = file.read(len(MAGIC)) == MAGIC
    file.seek(0)
    return cast(BinaryIO, Unzipping(file)) if zipped else file


def contents(path: Path | str) -> bytes:
    """Return the bytes of a file, unzipped where it is gzipped.

    Raises:
        OSError: it is missing, damaged, or stands for too much; strerror says what is wrong.
    """
    with open(path, "rb") as file:
        try:
            return opened(file).read()
        except (EOFError, zlib.error, TooLarge) as error:
            raise OSError(0, str(error)) from error
        except MemoryError as error:
            raise OSError(0, "it does not fit into memory") from error
