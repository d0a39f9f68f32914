"""One value of a Kaldi archive: a matrix or a vector, binary or text."""

from __future__ import annotations

import struct
from typing import BinaryIO

import kaldiio
import numpy as np
from kaldiio.matio import read_ascii_mat, read_matrix_or_vector

# Every number of an integer vector follows a byte that gives its size.
_SIZED_INT = np.dtype([("size", "i1"), ("value", "<i4")])
_TEXT = b" \n\t[-0123456789"


def read_value(file: BinaryIO) -> np.ndarray:
    """Read the matrix or vector at the file's position; the file must be seekable.

    Anything else that kaldiio knows (audio, numpy, pickled objects) is refused: unpickling would
    run whatever code the archive holds.

    Raises:
        ValueError, AssertionError, struct.error: corrupt, truncated or of another kind.
    """
    at = file.tell()
    start = file.read(3)
    if start == b"\0B\4":
        return _read_integers(file)
    file.seek(at)
    if start[:2] == b"\0B":
        value: np.ndarray = read_matrix_or_vector(file)
        if value.ndim == 1:
            _check_length(file, at, len(value))
        return value
    if not start or start[0] not in _TEXT:
        raise ValueError(f"no Kaldi matrix or vector: it begins with {start!r}")
    text: np.ndarray = read_ascii_mat(file)
    return text


def write_value(file: BinaryIO, value: np.ndarray) -> None:
    """Write a float matrix [F, D] or an int32 vector [F], binary."""
    if value.dtype == np.int32:
        numbers = np.empty(len(value), _SIZED_INT)
        numbers["size"], numbers["value"] = 4, value
        file.write(b"\0B" + struct.pack("<bi", 4, len(value)) + numbers.tobytes())
    else:
        kaldiio.save_mat(file, value)


def _read_integers(file: BinaryIO) -> np.ndarray:
    (count,) = struct.unpack("<i", file.read(4))
    raw = file.read(max(count, 0) * _SIZED_INT.itemsize)
    if count < 0 or len(raw) != count * _SIZED_INT.itemsize:
        raise ValueError(f"{len(raw)} bytes of a vector of {count} integers")
    numbers = np.frombuffer(raw, _SIZED_INT)
    if not (numbers["size"] == 4).all():
        raise ValueError("a vector of other than 32-bit integers")
    return numbers["value"].copy()


def _check_length(file: BinaryIO, at: int, found: int) -> None:
    """kaldiio takes a truncated vector for a shorter one."""
    end = file.tell()
    file.seek(at + len(b"\0BFV \4"))
    (count,) = struct.unpack("<i", file.read(4))
    file.seek(end)
    if count != found:
        raise ValueError(f"{found} numbers of a vector of {count}")
