"""The source that libsndfile reads: a file, or parts of it behind a corrected header."""

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

# The apparent size of an endless view, and the stretch at its end where readers look for tags
# (bytes).
_ENDLESS, _END = 1 << 40, 1 << 12


class View(io.RawIOBase):
    """A read-only stream of pieces of a file, one behind another.

    An endless view seems to be larger than its pieces: reading behind them gives nothing, except
    for a last stretch of zeros, in which libmpg123 looks for tags.

    Args:
        data: content of the file.
        pieces: pieces, as bytes or as begin and end of a range of the file.
        endless: whether the view is endless.
    """

    def __init__(
        self, data: Data, pieces: tuple[bytes | tuple[int, int], ...], endless: bool
    ) -> None:
        self._data, self._pieces, self._at = data, pieces, 0
        sizes = (len(p) if isinstance(p, bytes) else p[1] - p[0] for p in pieces)
        self._ends = list(accumulate(sizes))
        self._size = _ENDLESS if endless else self._ends[-1]

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def tell(self) -> int:
        """See `io.RawIOBase`."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """See `io.RawIOBase`."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        target, filled = memoryview(buffer).cast("B"), 0
        while filled < len(target):
            piece = self._part(len(target) - filled)
            if not piece:
                break
            target[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._at += len(piece)
        return filled

    def _part(self, length: int) -> bytes:
        """Return at most `length` bytes from the present position, from one piece."""
        number = bisect_right(self._ends, self._at)
        if number == len(self._pieces):
            return bytes(max(0, min(length, self._size - self._at))) if self._in_end() else b""
        piece = self._pieces[number]
        offset = self._at - (self._ends[number - 1] if number else 0)
        if isinstance(piece, bytes):
            return piece[offset : offset + length]
        return self._data[piece[0] + offset : min(piece[0] + offset + length, piece[1])]

    def _in_end(self) -> bool:
        return self._size == _ENDLESS and self._at >= _ENDLESS - _END


@contextmanager
def mapped(source: Path | bytes) -> Iterator[Data]:
    """Yield the content of a file, which is mapped, so that only parts in use are read.

    Raises:
        OSError: the file cannot be opened.
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
def sndfile_source(source: Path | bytes, container: Container) -> Iterator[str | io.IOBase]:
    """Yield the path or the stream that libsndfile is to open.

    Args:
        source: path of the file, or its bytes.
        container: container of the file; it may ask for a `View`.

    Raises:
        OSError: the file cannot be opened.
    """
    if container.view is not None:
        with mapped(source) as data, View(data, container.view, container.endless) as view:
            yield view
    else:
        yield io.BytesIO(source) if isinstance(source, bytes) else str(source)
