"""Writes the tokens, numbers, vectors and matrices of Kaldi's files, binary or text."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.runtime.files import atomic_path

Floats = NDArray[np.floating[Any]]


class KaldiWriter:
    """Collects the bytes of one object as Kaldi itself would write it.

    Args:
        binary: whether numbers are in binary form.
    """

    def __init__(self, binary: bool) -> None:
        self.binary = binary
        self._pieces: list[bytes] = []

    def contents(self) -> bytes:
        """Everything that was written so far, without the mark of binary files."""
        return b"".join(self._pieces)

    def save(self, path: Path) -> Path:
        """Write a file of this object.

        Returns:
            The path.

        Raises:
            RunError: the disk is full or the folder read-only.
        """
        with atomic_path(path) as temporary:
            temporary.write_bytes((b"\0B" if self.binary else b"") + self.contents())
        return path

    def token(self, *tokens: str) -> None:
        """Write tokens, a blank after each."""
        self._pieces.extend(f"{token} ".encode() for token in tokens)

    def text(self, text: str) -> None:
        """Write text as it is."""
        self._pieces.append(text.encode())

    def boolean(self, value: bool) -> None:
        """Write T or F."""
        self._pieces.append(b"FT"[value : value + 1] + (b"" if self.binary else b" "))

    def line_end(self) -> None:
        """End a line; binary files have none."""
        if not self.binary:
            self._pieces.append(b"\n")

    def integer(self, *numbers: int, unsigned: bool = False) -> None:
        """Write 32-bit integers."""
        form, size = ("<bI", -4) if unsigned else ("<bi", 4)
        for number in numbers:
            binary = struct.pack(form, size, number) if self.binary else f"{number} ".encode()
            self._pieces.append(binary)

    def number(self, number: float) -> None:
        """Write a number of single precision."""
        binary = struct.pack("<bf", 4, number) if self.binary else f"{number:.7g} ".encode()
        self._pieces.append(binary)

    def integers(self, numbers: Iterable[int]) -> None:
        """Write a vector of 32-bit integers; in text it ends its line."""
        values = np.fromiter(numbers, "<i4")
        if self.binary:
            self._pieces.append(struct.pack("<bi", 4, len(values)) + values.tobytes())
        else:
            inside = "".join(f"{number} " for number in values.tolist())
            self._pieces.append(f"[ {inside}]\n".encode())

    def vector(self, values: Floats) -> None:
        """Write a vector [N] of single precision; in text it ends its line."""
        if self.binary:
            self.token("FV")
            self.integer(len(values))
            self._pieces.append(values.astype("<f4").tobytes())
        else:
            self._pieces.append(f" [ {_row(values)}]\n".encode())

    def matrix(self, values: Floats) -> None:
        """Write a matrix [R, C] of single precision; in text it ends its line."""
        if self.binary:
            self.token("FM")
            self.integer(*values.shape)
            self._pieces.append(values.astype("<f4").tobytes())
        elif not values.size:
            self._pieces.append(b" [ ]\n")
        else:
            rows = "".join(f"\n  {_row(row)}" for row in values)
            self._pieces.append(f" [{rows}]\n".encode())


def _row(values: Floats) -> str:
    return "".join(f"{value:.7g} " for value in values.tolist())
