"""Entries of scp files: where in which archive a value lies, or the command that prints it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr_hf.runtime.children import run_command
from asr_hf.runtime.errors import InputError

# Of offsets; no file is longer.
_DIGITS = 19
# Kaldi lets a range end so many rows behind the last: edges of windows, and rounded segments
# (kaldi/src/util/kaldi-holder.cc).
_BEYOND = 3
# Kaldi's ranges: first and last row, then first and last column, both counted from 0 and included.
_RANGE = re.compile(r"(.*)\[(\d{0,9}:\d{0,9}|)(?:,(\d{0,9}:\d{0,9}|))?\]", re.DOTALL)


@dataclass(frozen=True)
class ArkEntry:
    """One entry.

    Args:
        archive: the file, or the command without its bar.
        offset: where the value begins.
        part: its rows and columns that are meant; None for all of it.
        is_command: whether `archive` is a command.
    """

    archive: str
    offset: int = 0
    part: tuple[slice, slice] | None = None
    is_command: bool = False

    @classmethod
    def parse(cls, scp: Path, key: str, entry: str, allow_pipes: bool) -> ArkEntry:
        """Read an entry; `scp` and `key` are for messages.

        Raises:
            InputError: it is malformed, or a command where none may be run.
        """
        if entry.endswith("|") or entry.startswith("|"):
            if not allow_pipes or entry.startswith("|"):
                raise InputError(
                    f"{scp}: {key}: a command: {entry!r}",
                    expected="archive:offset; commands run only when they are allowed",
                    remedy="set features.allow_pipes=true if you trust this file",
                )
            return cls(entry[:-1].strip(), is_command=True)
        part = None
        if entry.endswith("]"):
            found = _RANGE.fullmatch(entry)
            if found is None:
                raise InputError(
                    f"{scp}: {key}: {entry!r}",
                    expected="a range of rows, [first:last], or of rows and columns",
                    remedy="mend the scp file",
                )
            entry, part = found[1], (_slice(found[2]), _slice(found[3] or ""))
        archive, colon, offset = entry.rpartition(":")
        if not colon or not offset.isdecimal():
            archive, offset = entry, "0"
        if len(offset) > _DIGITS:
            raise InputError(
                f"{scp}: {key}: an offset of {len(offset)} digits",
                expected="archive:offset",
                remedy="make the archive again",
            )
        return cls(archive, int(offset), part)

    def cut(self, value: np.ndarray) -> np.ndarray:
        """Return the part of the value that is meant; as in Kaldi, up to three rows fewer at the end.

        Raises:
            ValueError: the range leads further out of it.
        """
        if self.part is None:
            return value
        for number, (size, piece) in enumerate(zip(value.shape, self.part, strict=False)):
            most = size + (0 if number else _BEYOND)
            if (piece.stop or 0) > most or (piece.start or 0) >= size:
                what = ("rows", "columns")[number]
                first, last = piece.start or 0, (piece.stop or size) - 1
                raise ValueError(f"{what} {first} to {last} of {size}")
        return value[self.part[: value.ndim]]

    def rows_beyond(self, value: np.ndarray) -> int:
        """Return how many rows the range ends behind the last one of `value`."""
        end = 0 if self.part is None else self.part[0].stop or 0
        return max(0, end - len(value))


def _slice(text: str) -> slice:
    first, _, last = text.partition(":")
    return slice(int(first) if first else None, int(last) + 1 if last else None)


def command_output(command: str) -> bytes:
    """Return what a command prints.

    Raises:
        ValueError: it fails or prints nothing; with what it said.
    """
    done = run_command(["bash", "-o", "pipefail", "-c", command])
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip()[-500:]
        raise ValueError(f"exit status {done.returncode}, {len(done.stdout)} bytes: {said}")
    return done.stdout
