"""Reads arrays from files: npy files without trust in their headers, and rows of raw arrays."""

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

_MAX_READ_BYTES = 1 << 30


def load_array(
    path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], remedy: str
) -> NDArray[Any]:
    """Read an npy file that must hold an array of this type and shape.

    Args:
        path: the file.
        dtype: type that the numbers must have.
        shape: shape that the array must have.
        remedy: what the user can do if the file is damaged, for the message.

    Returns:
        The array, in memory.

    Raises:
        InputError: the file is missing or damaged, or holds something else.
    """
    try:
        # A mapped file is compared with the size that its header declares before any memory is
        # taken.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy parses the header as Python text, and fails in many ways
        raise InputError(f"{path}: cannot be read: {error!r}", remedy=remedy) from error
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
        actual = (
            f"{array.dtype} of shape {list(array.shape)}"
            if isinstance(array, np.ndarray)
            else "no array"
        )
        raise InputError(
            f"{path}: {actual}", expected=f"{dtype} of shape {list(shape)}", remedy=remedy
        )
    return np.array(array)


def array_of(data: bytes) -> NDArray[Any]:
    """Return the array that the content of an npy file holds.

    Raises:
        ValueError: the content does not fit its header; a damaged header raises other errors too.
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
    """An array in a file of raw numbers, whose rows are read when they are needed.

    Rows are read and not mapped: if a mapped file is cut short or its disk fails, the system ends
    the process without a message. Copying costs no more time.

    Args:
        path: the file.
        dtype: type of the numbers.
        shape: shape of the whole array.
        remedy: what the user can do if the file is damaged, for the message.

    Raises:
        InputError: the file cannot be read, or has another size.
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
        actual = os.fstat(self._fd).st_size
        if actual != expected:
            raise InputError(
                f"{path}: {actual} bytes, truncated or of another store",
                expected=f"{expected} bytes",
                remedy=remedy,
            )

    def prefetch(self, runs: list[tuple[int, int]]) -> None:
        """Have the system fetch rows from `start` to `stop` of each run, all of them at once.

        Waiting for one page after the other takes 25 times as long on a cold disk.
        """
        for start, stop in runs:
            offset, length = start * self._row, (stop - start) * self._row
            os.posix_fadvise(self._fd, offset, length, os.POSIX_FADV_WILLNEED)

    def read(self, runs: list[tuple[int, int]]) -> NDArray[Any]:
        """Return rows from `start` to `stop` of each run, side by side, in new memory."""
        rows = np.empty((sum(stop - start for start, stop in runs), *self._rest), self.dtype)
        self.read_into(rows, runs)
        return rows

    def read_into(self, out: NDArray[Any], runs: list[tuple[int, int]]) -> None:
        """Copy rows from `start` to `stop` of each run, side by side, into the array `out`.

        Args:
            out: array of as many rows as the runs have together.
            runs: first row and last row (exclusive) of each run.

        Raises:
            InputError: the file was cut short, or the disk fails.
        """
        view = out.reshape(-1).view(np.uint8).data
        for start, stop in runs:
            length = (stop - start) * self._row
            self._fill(view[:length], start * self._row)
            view = view[length:]

    def _fill(self, view: memoryview, offset: int) -> None:
        while view:
            try:
                count = os.preadv(self._fd, [view[:_MAX_READ_BYTES]], offset)
            except OSError as error:
                raise self._unreadable(error) from error
            if not count:
                raise InputError(
                    f"{self.path}: ends at byte {offset}: it was cut short while in use",
                    remedy=self._remedy,
                )
            view, offset = view[count:], offset + count

    def _unreadable(self, error: OSError) -> InputError:
        return InputError(
            f"{self.path}: cannot be read: {error.strerror or error}", remedy=self._remedy
        )
