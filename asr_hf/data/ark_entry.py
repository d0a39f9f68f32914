"""Entries of scp files: an archive and the place of a value in it, or a command that prints it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr_hf.runtime.children import run_command
from asr_hf.runtime.errors import InputError

# An offset has at most so many digits, because no file is longer.
_MAX_DIGITS = 19
# Kaldi lets a range end so many rows behind the last one, for edges of windows and rounded segments
# (kaldi/src/util/kaldi-holder.cc).
_MAX_BEYOND = 3
# Kaldi's ranges: first and last row, then first and last column, counted from 0, both included.
_RANGE = re.compile(r"(.*)\[(\d{0,9}:\d{0,9}|)(?:,(\d{0,9}:\d{0,9}|))?\]", re.DOTALL)


@dataclass(frozen=True)
class ArkEntry:
    """One entry of an scp file.

    Args:
        archive: path of the archive, or the command without its bar.
        offset: place of the value in the archive (bytes).
        part: rows and columns of the value that the entry stands for; None for all.
        is_command: whether `archive` is a command.
    """

    archive: str
    offset: int = 0
    part: tuple[slice, slice] | None = None
    is_command: bool = False

    @classmethod
    def parse(cls, scp: Path, key: str, entry: str, allow_pipes: bool) -> ArkEntry:
        """Parse the text of an entry.

        >>> entry = ArkEntry.parse(Path("feats.scp"), "utt1", "feats.ark:5[0:9]", False)
        >>> entry.archive, entry.offset, entry.part[0]
        ('feats.ark', 5, slice(0, 10, None))

        Args:
            scp: path of the scp file, for messages.
            key: key of the entry, for messages.
            entry: text behind the key.
            allow_pipes: whether the entry may be a command.

        Returns:
            The entry.

        Raises:
            InputError: the entry is malformed, or is a command that may not be run.
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
            match = _RANGE.fullmatch(entry)
            if match is None:
                raise InputError(
                    f"{scp}: {key}: {entry!r}",
                    expected="a range of rows, [first:last], or of rows and columns",
                    remedy="mend the scp file",
                )
            entry, part = match[1], (_slice(match[2]), _slice(match[3] or ""))
        archive, colon, offset = entry.rpartition(":")
        if not colon or not offset.isdecimal():
            archive, offset = entry, "0"
        if len(offset) > _MAX_DIGITS:
            raise InputError(
                f"{scp}: {key}: an offset of {len(offset)} digits",
                expected="archive:offset",
                remedy="make the archive again",
            )
        return cls(archive, int(offset), part)

    def cut(self, value: np.ndarray) -> np.ndarray:
        """Return the part of `value` that the entry's range stands for.

        As in Kaldi, the range may end up to three rows behind the last row, where it is cut.

        Raises:
            ValueError: the range ends further behind.
        """
        if self.part is None:
            return value
        for number, (size, piece) in enumerate(zip(value.shape, self.part, strict=False)):
            max_stop = size + (0 if number else _MAX_BEYOND)
            if (piece.stop or 0) > max_stop or (piece.start or 0) >= size:
                axis = ("rows", "columns")[number]
                first, last = piece.start or 0, (piece.stop or size) - 1
                raise ValueError(f"{axis} {first} to {last} of {size}")
        return value[self.part[: value.ndim]]

    def rows_beyond(self, value: np.ndarray) -> int:
        """Return the number of rows by which the range ends behind the last row of `value`."""
        end = 0 if self.part is None else self.part[0].stop or 0
        return max(0, end - len(value))


def _slice(text: str) -> slice:
    first, _, last = text.partition(":")
    return slice(int(first) if first else None, int(last) + 1 if last else None)


def command_output(command: str) -> bytes:
    """Return the standard output of a command.

    Raises:
        ValueError: the command fails or prints nothing; the message holds its standard error.
    """
    completed = run_command(["bash", "-o", "pipefail", "-c", command])
    if completed.returncode or not completed.stdout:
        errors = completed.stderr.decode(errors="replace").strip()[-500:]
        raise ValueError(
            f"exit status {completed.returncode}, {len(completed.stdout)} bytes: {errors}"
        )
    return completed.stdout
