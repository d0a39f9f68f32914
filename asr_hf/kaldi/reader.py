"""Reads the tokens, numbers, vectors and matrices of Kaldi's files, binary or text."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.unzip import read_unzipped

_WORD = re.compile(rb"\s*(\S+)")
_LONGEST_TOKEN = 200
_REMEDY = "copy the file again from the Kaldi experiment; it is damaged, or of another kind"


def file_contents(path: Path | str) -> bytes:
    """Read a file, unzipping it where it is gzipped.

    Returns:
        The unzipped bytes.

    Raises:
        InputError: it is missing or truncated, or stands for far more than its size.
    """
    try:
        return read_unzipped(path)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be read: {reason}", remedy=_REMEDY) from error


class KaldiReader:
    """Goes through the bytes of a file item by item.

    Every size is compared with the rest of the file before anything of that size is made. What a
    method cannot read it refuses by `fail`; its argument `what` names the item for the message.

    Args:
        data: the bytes.
        name: name of the file, for messages.
        binary: whether numbers are in binary form.
        at: position of the first byte to read.
    """

    def __init__(self, data: bytes, name: str, binary: bool, at: int = 0) -> None:
        self.data, self.name, self.binary, self.at = data, name, binary, at

    @classmethod
    def open(cls, path: Path | str) -> KaldiReader:
        """Read a file of one object, gzipped or not; a binary one begins with a zero byte and B.

        Returns:
            A reader at the beginning of the object.

        Raises:
            InputError: the file cannot be read.
        """
        data = file_contents(path)
        binary = data[:2] == b"\0B"
        return cls(data, str(path), binary, 2 if binary else 0)

    def fail(self, actual: str, expected: str, at: int | None = None) -> NoReturn:
        """Refuse the item at byte `at` (by default, at the reader's position).

        Raises:
            InputError: always.
        """
        position = self.at if at is None else at
        raise InputError(
            f"{self.name}: byte {position}: {actual}", expected=expected, remedy=_REMEDY
        )

    def token(self, expected: str = "a token") -> str:
        """Read the next token, a word that ends with a blank."""
        start = self.at
        match = _WORD.match(self.data, start, start + _LONGEST_TOKEN)
        if match is None or (self.binary and match.end() >= len(self.data)):
            self.fail(self._shown(), expected)
        word = match[1]
        if not word.isascii() or not word.decode("ascii").isprintable():
            self.fail(self._shown(), expected)
        # In binary files numbers follow the one blank, and may look like blanks themselves.
        self.at = match.end() + (1 if self.binary else 0)
        return word.decode("ascii")

    def expect(self, *tokens: str) -> str:
        """Read the next token, which must be one of `tokens`."""
        start, expected = self.at, " or ".join(tokens)
        token = self.token(expected)
        if token not in tokens:
            self.fail(repr(token), expected, start)
        return token

    def next_is(self, *tokens: str) -> bool:
        """Whether one of `tokens` comes next; it is not read."""
        match = _WORD.match(self.data, self.at, self.at + _LONGEST_TOKEN)
        return match is not None and match[1] in {token.encode() for token in tokens}

    def integer(self, what: str, unsigned: bool = False) -> int:
        """Read a 32-bit integer."""
        start = self.at
        if self.binary:
            size, number = struct.unpack("<bI" if unsigned else "<bi", self.take(5, what))
            if size != (-4 if unsigned else 4):
                self.fail(f"a number of {size} bytes", f"{what}, an integer of 4 bytes", start)
            return int(number)
        word = self.token(what)
        if not re.fullmatch(r"[+-]?[0-9]{1,10}", word) or not -(2**31) <= int(word) < 2**31:
            self.fail(repr(word), f"{what}, an integer of 32 bits", start)
        return int(word)

    def count(self, what: str, unsigned: bool = False) -> int:
        """Read an integer that is neither negative nor greater than the number of bytes left."""
        start = self.at
        number = self.integer(what, unsigned)
        if not 0 <= number <= len(self.data) - self.at:
            self.fail(str(number), f"{what}, 0 to {len(self.data) - self.at}", start)
        return number

    def number(self, what: str) -> float:
        """Read a floating-point number, in binary files of single or double precision."""
        start = self.at
        if self.binary:
            (size,) = struct.unpack("<b", self.take(1, what))
            if size not in (4, 8):
                self.fail(f"a number of {size} bytes", f"{what}, a number of 4 or 8 bytes", start)
            return float(struct.unpack("<f" if size == 4 else "<d", self.take(size, what))[0])
        word = self.token(what)
        try:
            return float(word)
        except ValueError:
            self.fail(repr(word), f"{what}, a number", start)

    def integers(self, what: str) -> NDArray[np.int32]:
        """Read a vector of 32-bit integers [N]."""
        start = self.at
        if not self.binary:
            return self._text_integers(what)
        size, count = struct.unpack("<bi", self.take(5, what))
        if size != 4:
            self.fail(f"integers of {size} bytes", f"{what}, integers of 4 bytes", start)
        return np.frombuffer(self._many(count, 4, what), "<i4").astype(np.int32)

    def vector(self, what: str) -> NDArray[np.float64]:
        """Read a vector of numbers [N]."""
        if not self.binary:
            start = self.at
            rows = self._bracketed(what)
            return self._floats(b" ".join(rows), what, start)
        dtype = self._precision("V", what)
        raw = self._many(self.integer(what), dtype.itemsize, what)
        return np.frombuffer(raw, dtype).astype(np.float64)

    def matrix(self, what: str) -> NDArray[np.float64]:
        """Read a matrix of numbers [R, C]."""
        start = self.at
        if self.binary:
            dtype = self._precision("M", what)
            rows, columns = self.integer(what), self.integer(what)
            if min(rows, columns) < 0:
                self.fail(f"{rows} rows of {columns} columns", what, start)
            raw = self._many(rows * columns, dtype.itemsize, what)
            return np.frombuffer(raw, dtype).reshape(rows, columns).astype(np.float64)
        lines = [self._floats(row, what, start) for row in self._bracketed(what) if row.strip()]
        if len({len(line) for line in lines}) > 1:
            self.fail("rows of different lengths", f"{what}, a matrix", start)
        return np.stack(lines) if lines else np.zeros((0, 0))

    def take(self, count: int, what: str) -> bytes:
        """Read the next `count` bytes."""
        if not 0 <= count <= len(self.data) - self.at:
            bytes_left = len(self.data) - self.at
            self.fail(f"the file ends {bytes_left} bytes further on", f"{what}, {count} bytes")
        piece = self.data[self.at : self.at + count]
        self.at += count
        return piece

    def _many(self, count: int, size: int, what: str) -> bytes:
        bytes_left = len(self.data) - self.at
        if not 0 <= count * size <= bytes_left:
            self.fail(f"a count of {count} with {bytes_left} bytes left", what)
        return self.take(count * size, what)

    def _precision(self, kind: str, what: str) -> np.dtype[Any]:
        return np.dtype("<f4" if self.expect(f"F{kind}", f"D{kind}")[0] == "F" else "<f8")

    def _bracketed(self, what: str) -> list[bytes]:
        """Read the lines between brackets."""
        start = self.at
        self.expect("[")
        end = self.data.find(b"]", self.at)
        if end < 0:
            self.fail("no closing bracket", f"{what}, ending with ]", start)
        lines = self.data[self.at : end].split(b"\n")
        self.at = end + 1
        return lines

    def _text_integers(self, what: str) -> NDArray[np.int32]:
        start = self.at
        words = b" ".join(self._bracketed(what)).split()
        try:
            return np.array([int(word) for word in words], np.int32)
        except (ValueError, OverflowError) as error:
            self.fail(str(error), f"{what}, integers of 32 bits", start)

    def _floats(self, words: bytes, what: str, start: int) -> NDArray[np.float64]:
        try:
            return np.array(words.split(), dtype=np.float64)
        except ValueError as error:
            self.fail(str(error), f"{what}, numbers", start)

    def _shown(self) -> str:
        if self.at >= len(self.data):
            return "the file ends"
        return repr(self.data[self.at : self.at + 20])[1:]
