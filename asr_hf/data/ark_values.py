"""Reads and writes one value of a Kaldi archive: a matrix or a vector, binary or text."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any, BinaryIO

import kaldiio
import numpy as np
from kaldiio.matio import read_ascii_mat, read_matrix_or_vector

# Before every number of an integer vector stands a byte with its size.
_SIZED_INTEGER = np.dtype([("size", "i1"), ("value", "<i4")])
_TEXT = b" \n\t[-0123456789"
_PLAIN: dict[bytes, np.dtype[Any]] = {b"F": np.dtype("<f4"), b"D": np.dtype("<f8")}
# Size of an element and of a column's header (bytes) for each kind of compression.
_COMPRESSED = {b"CM ": (1, 8), b"CM2": (2, 0), b"CM3": (1, 0)}


def read_value(file: BinaryIO, max_bytes: int) -> np.ndarray:
    """Read the matrix or vector at the position of a seekable file.

    Anything else that kaldiio knows (audio, numpy, pickled objects) is refused: unpickling would
    run code that the archive holds. No more memory is taken than the file can fill.

    Args:
        file: the archive.
        max_bytes: number of bytes that the file may still hold.

    Returns:
        The matrix or the vector.

    Raises:
        ValueError: the value is corrupt, truncated or of another kind.
        AssertionError: the same, found by kaldiio.
        struct.error: the same, found by Python's struct.
    """
    start = file.tell()
    mark = file.read(2)
    if mark == b"\0B":
        return _read_binary(file, max_bytes)
    if not mark or mark[0] not in _TEXT:
        raise ValueError(f"no Kaldi matrix or vector: it begins with {mark + file.read(1)!r}")
    file.seek(start)
    text: np.ndarray = read_ascii_mat(file)
    return text


def write_value(file: BinaryIO, value: np.ndarray) -> None:
    """Write a float matrix [F, D] or an int32 vector [F] in binary form."""
    if value.dtype == np.int32:
        numbers = np.empty(len(value), _SIZED_INTEGER)
        numbers["size"], numbers["value"] = 4, value
        file.write(b"\0B" + struct.pack("<bi", 4, len(value)) + numbers.tobytes())
    else:
        kaldiio.save_mat(file, value)


def _read_binary(file: BinaryIO, max_bytes: int) -> np.ndarray:
    kind = _read(file, 1, max_bytes)
    if kind == b"\4":
        return _read_integers(file, max_bytes)
    kind += _read(file, 2, max_bytes)
    if kind[:1] in _PLAIN and kind[1:] in (b"M ", b"V "):
        shape = tuple(_read_size(file, max_bytes) for _ in range(1 + (kind[1:] == b"M ")))
        dtype, count = _PLAIN[kind[:1]], 1
        for size in shape:
            count *= size
        numbers: np.ndarray = np.frombuffer(_read(file, count * dtype.itemsize, max_bytes), dtype)
        return numbers.reshape(shape)
    if kind in _COMPRESSED:
        return _read_compressed(file, kind, max_bytes)
    raise ValueError(f"no Kaldi matrix or vector: it is called {kind!r}")


def _read_size(file: BinaryIO, max_bytes: int) -> int:
    mark, size = struct.unpack("<bi", _read(file, 5, max_bytes))
    if mark != 4 or size < 0:
        raise ValueError(f"a size of {size}, marked {mark}")
    return int(size)


def _read_compressed(file: BinaryIO, kind: bytes, max_bytes: int) -> np.ndarray:
    start = b"\0B" + kind + (b"" if kind.endswith(b" ") else _read(file, 1, max_bytes))
    header = _read(file, 16, max_bytes)
    _, _, rows, cols = struct.unpack("<ffii", header)
    if rows < 0 or cols < 0:
        raise ValueError(f"a matrix of {rows} rows and {cols} columns")
    element_bytes, column_bytes = _COMPRESSED[kind]
    body = _read(file, cols * (rows * element_bytes + column_bytes), max_bytes)
    with np.errstate(all="ignore"):  # a damaged header may ask for any range
        value: np.ndarray = read_matrix_or_vector(BytesIO(start + header + body))
    return value


def _read_integers(file: BinaryIO, max_bytes: int) -> np.ndarray:
    (count,) = struct.unpack("<i", _read(file, 4, max_bytes))
    raw = _read(file, count * _SIZED_INTEGER.itemsize, max_bytes)
    numbers = np.frombuffer(raw, _SIZED_INTEGER)
    if not (numbers["size"] == 4).all():
        raise ValueError("a vector of other than 32-bit integers")
    return numbers["value"].copy()


def _read(file: BinaryIO, size: int, max_bytes: int) -> bytes:
    """Read exactly `size` bytes, or raise a ValueError."""
    # Reading allocates memory before it looks whether there are so many bytes.
    if not 0 <= size <= max_bytes:
        raise ValueError(f"{size} bytes of numbers in {max_bytes} bytes of file")
    content = file.read(size)
    if len(content) != size:
        raise ValueError(f"{len(content)} of {size} bytes")
    return content
