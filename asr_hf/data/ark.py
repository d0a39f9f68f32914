"""Kaldi archives: matrices and integer vectors in ark files, indexed by scp files."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from asr_hf.data.ark_entry import ArkEntry, command_output
from asr_hf.data.ark_values import read_value, write_value
from asr_hf.data.checksums import crc32_of
from asr_hf.data.kaldi_dir import read_table, write_table
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path, not_written
from asr_hf.runtime.unzip import max_unzipped, opened

log = logging.getLogger(__name__)

_SUMS = ".crc"
_LONGEST_KEY = 10_000
_CHANGED = "make the archive again; where it was changed on purpose, remove the file of checksums"


class ArkReader:
    """Random access to the archive entries that an scp file lists.

    Args:
        path: the scp file; its lines are "key archive:offset", perhaps with a range of rows behind.
            Where a file of checksums stands beside it (feats.crc beside feats.scp), each entry is
            checked when it is read.
        allow_pipes: run entries that end in "|" in a shell.

    Raises:
        InputError: the scp is missing or malformed, or holds a command that may not be run.
    """

    def __init__(self, path: Path | str, allow_pipes: bool = False) -> None:
        self.path = Path(path)
        self._said_beyond = False
        self._sums = read_table(self.path.with_suffix(_SUMS), optional=True)
        self._entries = {
            key: ArkEntry.parse(self.path, key, entry, allow_pipes)
            for key, entry in read_table(self.path).items()
        }
        if self._sums and self._sums.keys() != self._entries.keys():
            odd = min(self._sums.keys() ^ self._entries.keys())
            raise InputError(
                f"{self.path}: {odd} is not in both the index and its checksums",
                expected=f"the entries of {self.path.with_suffix(_SUMS)}",
                remedy=_CHANGED,
            )

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, key: str) -> np.ndarray:
        """Read one entry.

        Raises:
            InputError: the archive is missing or corrupt at this entry.
        """
        entry = self._entries[key]
        archive, offset = entry.archive, entry.offset
        try:
            if entry.is_command:
                data = command_output(archive)
                return read_value(BytesIO(data), len(data))
            with open(archive, "rb") as file:
                about = os.fstat(file.fileno())
                if not stat.S_ISREG(about.st_mode):
                    raise ValueError("not a file of its own")
                file.seek(offset)
                value = read_value(file, about.st_size)
                self._check(file, key, archive, offset)
                part = entry.cut(value)
            if beyond := entry.rows_beyond(value):
                self._say_beyond(key, beyond, len(value))
            return part
        except InputError:
            raise
        except OSError as error:
            raise InputError(
                f"{archive}: cannot be read ({self.path}, {key}): {error.strerror or error}",
                remedy="make the archive again; scp files name it by its absolute path",
            ) from error
        except Exception as error:  # kaldiio meets bad bytes with any of a dozen exceptions
            raise InputError(
                f"{archive}:{offset}: corrupt archive at {key} of {self.path}: {_said(error)}",
                remedy="make the archive again",
            ) from error

    def _say_beyond(self, key: str, beyond: int, rows: int) -> None:
        """Say of the first range that it was cut; of thousands, one is enough."""
        if not self._said_beyond:
            log.warning(
                "%s: %s: its range ends %d rows behind the last of %d and is cut there, as Kaldi "
                "does up to 3 rows; others like it are not listed",
                self.path,
                key,
                beyond,
                rows,
            )
        self._said_beyond = True

    def _check(self, file: BinaryIO, key: str, archive: str, offset: int) -> None:
        """Compare the bytes that were just read with their checksum, where there is one."""
        if not self._sums:
            return
        end = file.tell()
        file.seek(offset)
        if self._sums[key] != crc32_of(file.read(end - offset)):
            raise InputError(
                f"{archive}:{offset}: {key}: damaged: its checksum is wrong",
                expected=f"{self._sums[key]}, as in {self.path.with_suffix(_SUMS)}",
                remedy=_CHANGED,
            )


class ArkWriter:
    """Writes an archive, its index and its checksums.

    They appear under their names only when all is written.

    Args:
        folder: where they go.
        name: feats -> feats.ark, feats.scp and feats.crc.

    Raises:
        RunError: the disk is full or the folder read-only.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.ark, self.scp, self._crc = (folder / f"{name}{end}" for end in (".ark", ".scp", _SUMS))
        self._offsets: dict[str, int] = {}
        self._sums: dict[str, str] = {}

    def __enter__(self) -> ArkWriter:
        try:
            with ExitStack() as stack:
                part = stack.enter_context(atomic_path(self.ark))
                self._file = stack.enter_context(open(part, "wb"))
                self._open = stack.pop_all()
        except OSError as error:
            raise not_written(self.ark, error) from error
        return self

    def write(self, key: str, value: np.ndarray) -> None:
        """Append a float matrix [F, D] or an int32 vector [F].

        Raises:
            RunError: the disk is full.
        """
        if key in self._offsets:
            raise ValueError(f"{key} is in {self.ark} already")
        try:
            self._file.write(f"{key} ".encode())
            self._offsets[key] = self._file.tell()
            written = BytesIO()
            write_value(written, value)
            self._sums[key] = crc32_of(written.getbuffer())
            self._file.write(written.getbuffer())
        except OSError as error:
            raise not_written(self.ark, error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            # An old index must never point into a new archive.
            self.scp.unlink(missing_ok=True)
            self._crc.unlink(missing_ok=True)
        self._open.__exit__(kind, error, trace)
        if kind is None:
            name = self.ark.absolute()
            write_table(self._crc, self._sums.items())
            write_table(self.scp, ((k, f"{name}:{o}") for k, o in self._offsets.items()))


def read_ark(path: Path | str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every entry of a binary ark file in order, gzipped or not.

    Raises:
        InputError: it cannot be read or is corrupt.
    """
    last = "its beginning"
    try:
        with open(path, "rb") as plain:
            file, size = opened(plain), os.fstat(plain.fileno()).st_size
            most = size if file is plain else max_unzipped(size)
            while (key := _read_key(file)) is not None:
                value = read_value(file, most)
                yield key, value
                last = f"utterance {key}"
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read after {last}: {error.strerror or error}"
        ) from error
    except Exception as error:  # kaldiio meets bad bytes with any of a dozen exceptions
        raise InputError(
            f"{path}: corrupt after {last}: {_said(error)}", remedy="make the archive again"
        ) from error


def _read_key(file: BinaryIO) -> str | None:
    key = bytearray()
    while (byte := file.read(1)) not in (b" ", b""):
        key += byte
        if len(key) > _LONGEST_KEY:
            raise ValueError(f"a key of more than {_LONGEST_KEY} bytes")
    if byte == b" " and not key.strip():
        raise ValueError("an entry without a key")
    if byte == b" ":
        return key.decode().strip()
    if key.strip():
        raise ValueError(f"ends after {bytes(key[:40])!r}")
    return None


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
