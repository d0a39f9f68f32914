"""Arrays in files: npy headers that are not trusted, and rows that are read at their place."""

from __future__ import annotations

import math
import os
import weakref
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.runtime.errors import InputError

_AT_ONCE = 1 << 30


def load_array(
    path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], remedy: str
) -> NDArray[Any]:
    """Read an npy file that must hold an array of this type and shape.

    Raises:
        InputError: it is missing, damaged or holds something else.
    """
    try:
        # Mapped, because what the header declares is then compared with the file's size before
        # any memory is taken.
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy parses the header as Python text, and fails in many ways
        raise InputError(f"{path}: cannot be read: {error!r}", remedy=remedy) from error
    if not isinstance(found, np.ndarray) or found.shape != shape or found.dtype != dtype:
        what = (
            f"{found.dtype} of shape {list(found.shape)}"
            if isinstance(found, np.ndarray)
            else "no array"
        )
        raise InputError(
            f"{path}: {what}", expected=f"{dtype} of shape {list(shape)}", remedy=remedy
        )
    return np.array(found)


def array_of(data: bytes) -> NDArray[Any]:
    """Return the numbers of an npy file's content.

    Raises:
        ValueError: it declares other than what it holds; damaged headers raise many others.
    """
    stream = BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"an npy file of version {version}")
    shape, columns_first, dtype = np.lib.format.read_array_header_1_0(stream)
    body = data[stream.tell() :]
    if dtype.kind not in "iuf" or len(body) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{len(body)} bytes of {dtype} of shape {shape}")
    array: NDArray[Any] = np.frombuffer(body, dtype)
    return array.reshape(shape, order="F" if columns_first else "C")


class RowFile:
    """An array in a file of its own, whose rows are copied out when they are wanted.

    They are read, not mapped: where a mapped file is cut short or its disk fails, the system ends
    the process without a word. Copying costs the same.

    Args:
        path: the file, raw numbers.
        dtype: of each.
        shape: of the whole array.
        remedy: what the user can do when it is damaged.

    Raises:
        InputError: it cannot be read, or has another size.
    """

    def __init__(
        self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], remedy: str
    ) -> None:
        self.path, self.dtype, self._remedy = path, dtype, remedy
        rows, *self._rest = shape
        self._row = dtype.itemsize
        for size in self._rest:
            self._row *= size
        expected = rows * self._row
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._unreadable(error) from error
        weakref.finalize(self, os.close, self._fd)
        found = os.fstat(self._fd).st_size
        if found != expected:
            raise InputError(
                f"{path}: {found} bytes, truncated or of another store",
                expected=f"{expected} bytes",
                remedy=remedy,
            )

    def expect(self, runs: list[tuple[int, int]]) -> None:
        """Let the system fetch rows from `start` to `stop` of each run, all of them at once.

        Waiting for one page after the other took a cold disk 25 times as long.
        """
        for start, stop in runs:
            at, length = start * self._row, (stop - start) * self._row
            os.posix_fadvise(self._fd, at, length, os.POSIX_FADV_WILLNEED)

    def read(self, runs: list[tuple[int, int]]) -> NDArray[Any]:
        """Return rows from `start` to `stop` of each run, side by side, in new memory."""
        held = np.empty((sum(stop - start for start, stop in runs), *self._rest), self.dtype)
        self.read_into(held, runs)
        return held

    def read_into(self, out: NDArray[Any], runs: list[tuple[int, int]]) -> None:
        """Copy rows from `start` to `stop` of each run, side by side, into the array `out`.

        Raises:
            InputError: the file has been cut short, or the disk fails.
        """
        view = out.reshape(-1).view(np.uint8).data
        for start, stop in runs:
            length = (stop - start) * self._row
            self._fill(view[:length], start * self._row)
            view = view[length:]

    def _fill(self, view: memoryview, at: int) -> None:
        while view:
            try:
                count = os.preadv(self._fd, [view[:_AT_ONCE]], at)
            except OSError as error:
                raise self._unreadable(error) from error
            if not count:
                raise InputError(
                    f"{self.path}: ends at byte {at}: it was cut short while in use",
                    remedy=self._remedy,
                )
            view, at = view[count:], at + count

    def _unreadable(self, error: OSError) -> InputError:
        return InputError(
            f"{self.path}: cannot be read: {error.strerror or error}", remedy=self._remedy
        )
