"""What libsndfile is given to read: a file, or parts of it behind a header that is right."""

from __future__ import annotations

import io
import mmap
import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

from asr_hf.data.containers.container import Container, Data

# What an endless view seems to hold, and what of this readers look at for tags at its end (bytes).
_ENDLESS, _END = 1 << 40, 1 << 12


class View(io.RawIOBase):
    """Pieces of a file, one behind another.

    An endless one seems to be larger than its pieces: behind them nothing is read, but for a last
    stretch of zeros, in which libmpg123 looks for tags.

    Args:
        data: the file.
        pieces: bytes, or a range of the file.
        endless: whether it is endless.
    """

    def __init__(
        self, data: Data, pieces: tuple[bytes | tuple[int, int], ...], endless: bool
    ) -> None:
        self._data, self._pieces, self._at = data, pieces, 0
        sizes = (len(p) if isinstance(p, bytes) else p[1] - p[0] for p in pieces)
        self._ends = list(accumulate(sizes))
        self._size = _ENDLESS if endless else self._ends[-1]

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, as in any file."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there are bytes; their number."""
        target, filled = memoryview(buffer).cast("B"), 0
        while filled < len(target):
            part = self._part(len(target) - filled)
            if not part:
                break
            target[filled : filled + len(part)] = part
            filled += len(part)
            self._at += len(part)
        return filled

    def _part(self, length: int) -> bytes:
        """Some bytes from here on, of one piece."""
        number = bisect_right(self._ends, self._at)
        if number == len(self._pieces):
            return bytes(max(0, min(length, self._size - self._at))) if self._in_end() else b""
        piece = self._pieces[number]
        into = self._at - (self._ends[number - 1] if number else 0)
        if isinstance(piece, bytes):
            return piece[into : into + length]
        return self._data[piece[0] + into : min(piece[0] + into + length, piece[1])]

    def _in_end(self) -> bool:
        return self._size == _ENDLESS and self._at >= _ENDLESS - _END


@contextmanager
def mapped(source: Path | bytes) -> Iterator[Data]:
    """Yield the content of a file, of which only what is looked at is read.

    Raises:
        OSError: it cannot be opened.
    """
    if isinstance(source, bytes):
        yield source
        return
    with open(source, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


@contextmanager
def seen(source: Path | bytes, container: Container) -> Iterator[str | io.IOBase]:
    """Yield what libsndfile is to open.

    Raises:
        OSError: the file cannot be opened.
    """
    if container.view is not None:
        with mapped(source) as data, View(data, container.view, container.endless) as view:
            yield view
    else:
        yield io.BytesIO(source) if isinstance(source, bytes) else str(source)
