"""One value of a Kaldi archive: a matrix or a vector, binary or text."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any, BinaryIO

import kaldiio
import numpy as np
from kaldiio.matio import read_ascii_mat, read_matrix_or_vector

# Every number of an integer vector follows a byte that gives its size.
_SIZED_INT = np.dtype([("size", "i1"), ("value", "<i4")])
_TEXT = b" \n\t[-0123456789"
_PLAIN: dict[bytes, np.dtype[Any]] = {b"F": np.dtype("<f4"), b"D": np.dtype("<f8")}
# Bytes of an element and of a column's header, by the kind of compression.
_COMPRESSED = {b"CM ": (1, 8), b"CM2": (2, 0), b"CM3": (1, 0)}


def read_value(file: BinaryIO, most: int) -> np.ndarray:
    """Read the matrix or vector at the file's position; the file must be seekable.

    Anything else that kaldiio knows (audio, numpy, pickled objects) is refused: unpickling would
    run whatever code the archive holds. No more memory is taken than the file can fill.

    Args:
        file: the archive.
        most: how many bytes it can still hold.

    Raises:
        ValueError, AssertionError, struct.error: corrupt, truncated or of another kind.
    """
    at = file.tell()
    start = file.read(2)
    if start == b"\0B":
        return _read_binary(file, most)
    if not start or start[0] not in _TEXT:
        raise ValueError(f"no Kaldi matrix or vector: it begins with {start + file.read(1)!r}")
    file.seek(at)
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


def _read_binary(file: BinaryIO, most: int) -> np.ndarray:
    kind = _read(file, 1, most)
    if kind == b"\4":
        return _read_integers(file, most)
    kind += _read(file, 2, most)
    if kind[:1] in _PLAIN and kind[1:] in (b"M ", b"V "):
        shape = tuple(_read_size(file, most) for _ in range(1 + (kind[1:] == b"M ")))
        dtype, count = _PLAIN[kind[:1]], 1
        for size in shape:
            count *= size
        numbers: np.ndarray = np.frombuffer(_read(file, count * dtype.itemsize, most), dtype)
        return numbers.reshape(shape)
    if kind in _COMPRESSED:
        return _read_compressed(file, kind, most)
    raise ValueError(f"no Kaldi matrix or vector: it is called {kind!r}")


def _read_size(file: BinaryIO, most: int) -> int:
    mark, size = struct.unpack("<bi", _read(file, 5, most))
    if mark != 4 or size < 0:
        raise ValueError(f"a size of {size}, marked {mark}")
    return int(size)


def _read_compressed(file: BinaryIO, kind: bytes, most: int) -> np.ndarray:
    start = b"\0B" + kind + (b"" if kind.endswith(b" ") else _read(file, 1, most))
    head = _read(file, 16, most)
    _, _, rows, cols = struct.unpack("<ffii", head)
    if rows < 0 or cols < 0:
        raise ValueError(f"a matrix of {rows} rows and {cols} columns")
    each, column = _COMPRESSED[kind]
    body = _read(file, cols * (rows * each + column), most)
    with np.errstate(all="ignore"):  # a damaged header may ask for any range
        value: np.ndarray = read_matrix_or_vector(BytesIO(start + head + body))
    return value


def _read_integers(file: BinaryIO, most: int) -> np.ndarray:
    (count,) = struct.unpack("<i", _read(file, 4, most))
    raw = _read(file, count * _SIZED_INT.itemsize, most)
    numbers = np.frombuffer(raw, _SIZED_INT)
    if not (numbers["size"] == 4).all():
        raise ValueError("a vector of other than 32-bit integers")
    return numbers["value"].copy()


def _read(file: BinaryIO, size: int, most: int) -> bytes:
    """Exactly so many bytes; reading takes memory for them before it looks whether they are there.

    Raises:
        ValueError: there are fewer.
    """
    if not 0 <= size <= most:
        raise ValueError(f"{size} bytes of numbers in {most} bytes of file")
    found = file.read(size)
    if len(found) != size:
        raise ValueError(f"{len(found)} of {size} bytes")
    return found
