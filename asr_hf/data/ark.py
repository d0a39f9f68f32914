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
from asr_hf.runtime.files import atomic_path, reporting_unwritable
from asr_hf.runtime.unzip import max_unzipped, unzipped

log = logging.getLogger(__name__)

_SUMS = ".crc"
_MAX_KEY_BYTES = 10_000
_CHANGED = "make the archive again; where it was changed on purpose, remove the file of checksums"


class ArkReader:
    """Random access to the archive entries that an scp file lists.

    Args:
        path: the scp file; its lines are "key archive:offset", perhaps followed by a range of rows.
            If a file of checksums stands beside it (feats.crc beside feats.scp), each entry is
            checked when it is read.
        allow_pipes: whether entries that end in "|" are run in a shell.

    Raises:
        InputError: the scp file is missing or malformed, or holds a command that may not be run.
    """

    def __init__(self, path: Path | str, allow_pipes: bool = False) -> None:
        self.path = Path(path)
        self._has_warned = False
        self._sums = read_table(self.path.with_suffix(_SUMS), optional=True)
        self._entries = {
            key: ArkEntry.parse(self.path, key, entry, allow_pipes)
            for key, entry in read_table(self.path).items()
        }
        if self._sums and self._sums.keys() != self._entries.keys():
            unmatched = min(self._sums.keys() ^ self._entries.keys())
            raise InputError(
                f"{self.path}: {unmatched} is not in both the index and its checksums",
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

        Args:
            key: key of the entry in the scp file.

        Returns:
            A matrix or a vector.

        Raises:
            InputError: the archive is missing, or corrupt at this entry.
        """
        entry = self._entries[key]
        archive, offset = entry.archive, entry.offset
        try:
            if entry.is_command:
                data = command_output(archive)
                return read_value(BytesIO(data), len(data))
            with open(archive, "rb") as file:
                size = _regular_size(file)
                file.seek(offset)
                value = read_value(file, size)
                self._check(file, key, archive, offset)
                part = entry.cut(value)
            if beyond := entry.rows_beyond(value):
                self._warn_of_range(key, beyond, len(value))
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
                f"{archive}:{offset}: corrupt archive at {key} of {self.path}: {_text_of(error)}",
                remedy="make the archive again",
            ) from error

    def _warn_of_range(self, key: str, beyond: int, rows: int) -> None:
        """Log the first range that was cut; there may be thousands like it."""
        if not self._has_warned:
            log.warning(
                "%s: %s: its range ends %d rows behind the last of %d and is cut there, as Kaldi "
                "does up to 3 rows; others like it are not listed",
                self.path,
                key,
                beyond,
                rows,
            )
        self._has_warned = True

    def _check(self, file: BinaryIO, key: str, archive: str, offset: int) -> None:
        """Compare the bytes that were just read with their checksum, if there is one."""
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
    """Writes an archive, its index and its checksums; use as a context manager.

    The files appear under their names only when all is written.

    Args:
        folder: folder of the files.
        name: name of the files: feats gives feats.ark, feats.scp and feats.crc.

    Raises:
        RunError: the disk is full, or the folder is read-only.
    """

    def __init__(self, folder: Path, name: str) -> None:
        suffixes = (".ark", ".scp", _SUMS)
        self.ark, self.scp, self._crc = (folder / f"{name}{suffix}" for suffix in suffixes)
        self._offsets: dict[str, int] = {}
        self._sums: dict[str, str] = {}

    def __enter__(self) -> ArkWriter:
        with reporting_unwritable(self.ark), ExitStack() as stack:
            part = stack.enter_context(atomic_path(self.ark))
            self._file = stack.enter_context(open(part, "wb"))
            self._open = stack.pop_all()
        return self

    def write(self, key: str, value: np.ndarray) -> None:
        """Append a float matrix [F, D] or an int32 vector [F].

        Args:
            key: key of the entry.
            value: the matrix or the vector.

        Raises:
            ValueError: the archive has an entry of this key already.
            RunError: the disk is full.
        """
        if key in self._offsets:
            raise ValueError(f"{key} is in {self.ark} already")
        with reporting_unwritable(self.ark):
            self._file.write(f"{key} ".encode())
            self._offsets[key] = self._file.tell()
            written = BytesIO()
            write_value(written, value)
            self._sums[key] = crc32_of(written.getbuffer())
            self._file.write(written.getbuffer())

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
    """Yield every entry of a binary archive in order, gzipped or not.

    Args:
        path: the archive.

    Yields:
        The key and the matrix or vector of each entry.

    Raises:
        InputError: the archive cannot be read, or is corrupt.
    """
    last = "its beginning"
    try:
        with open(path, "rb") as plain:
            file, size = unzipped(plain), os.fstat(plain.fileno()).st_size
            max_bytes = size if file is plain else max_unzipped(size)
            while (key := _read_key(file)) is not None:
                value = read_value(file, max_bytes)
                yield key, value
                last = f"utterance {key}"
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read after {last}: {error.strerror or error}"
        ) from error
    except Exception as error:  # kaldiio meets bad bytes with any of a dozen exceptions
        raise InputError(
            f"{path}: corrupt after {last}: {_text_of(error)}", remedy="make the archive again"
        ) from error


def _regular_size(file: BinaryIO) -> int:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a file of its own")
    return status.st_size


def _read_key(file: BinaryIO) -> str | None:
    key = bytearray()
    while (byte := file.read(1)) not in (b" ", b""):
        key += byte
        if len(key) > _MAX_KEY_BYTES:
            raise ValueError(f"a key of more than {_MAX_KEY_BYTES} bytes")
    if byte == b" " and not key.strip():
        raise ValueError("an entry without a key")
    if byte == b" ":
        return key.decode().strip()
    if key.strip():
        raise ValueError(f"ends after {bytes(key[:40])!r}")
    return None


def _text_of(error: Exception) -> str:
    return str(error) or type(error).__name__
