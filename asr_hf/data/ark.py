"""Kaldi archives: matrices and integer vectors in ark files, indexed by scp files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import kaldiio
import numpy as np

from asr_hf.data.kaldi_dir import read_table, write_table
from asr_hf.runtime.errors import InputError, RunError


class ArkReader:
    """Random access to the archive entries that an scp file lists.

    Args:
        path: the scp file.
        allow_pipes: let entries that end in "|" run through a shell, as Kaldi does.

    Raises:
        InputError: the scp is missing or malformed, or holds a pipe that is not allowed.
    """

    def __init__(self, path: Path | str, allow_pipes: bool = False) -> None:
        self.path = Path(path)
        self._entries = read_table(self.path)
        for key, entry in self._entries.items():
            if entry.endswith("|") and not allow_pipes:
                raise InputError(
                    f"{self.path}: {key}: a command: {entry!r}",
                    expected="archive:offset; commands run only when they are allowed",
                    remedy="set features.allow_pipes=true if you trust this file",
                )

    def __contains__(self, key: str) -> bool:
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
        try:
            value = kaldiio.load_mat(entry)
        except OSError as error:
            raise InputError(
                f"{entry}: cannot be read ({self.path}, {key}): {error.strerror or error}"
            ) from error
        except Exception as error:  # kaldiio meets bad bytes with any of a dozen exceptions
            raise InputError(
                f"{entry}: corrupt archive at {key}: {error}", remedy="make the archive again"
            ) from error
        if not isinstance(value, np.ndarray):
            raise InputError(f"{entry}: {key}: no matrix or vector but {type(value).__name__}")
        return value


class ArkWriter:
    """Writes an archive and its index; both appear under their names only when all is written.

    Args:
        folder: where they go.
        name: feats -> feats.ark and feats.scp.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.ark, self.scp = (folder / name).with_suffix(".ark"), folder / f"{name}.scp"
        self._part = folder / f".{name}.{os.getpid()}.tmp"
        folder.mkdir(parents=True, exist_ok=True)
        self._offsets: dict[str, int] = {}

    def __enter__(self) -> ArkWriter:
        self._file = open(self._part, "wb")
        return self

    def write(self, key: str, value: np.ndarray) -> None:
        """Append a float matrix [F, D] or an int32 vector [F].

        Raises:
            RunError: the disk is full or the folder read-only.
        """
        try:
            self._file.write(f"{key} ".encode())
            self._offsets[key] = self._file.tell()
            kaldiio.save_mat(self._file, value)
        except OSError as error:
            raise RunError(
                f"{self.ark}: cannot be written: {error.strerror or error}",
                remedy="check free space and permissions of the folder",
            ) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()
            if kind is not None:
                self._part.unlink(missing_ok=True)
        if kind is None:
            os.replace(self._part, self.ark)
            name = self.ark.absolute()
            write_table(self.scp, ((k, f"{name}:{o}") for k, o in self._offsets.items()))


def read_ark(path: Path | str) -> Iterator[tuple[str, Any]]:
    """Yield every entry of an ark file in order, gzipped or not.

    Raises:
        InputError: it cannot be read or is corrupt.
    """
    last = "its beginning"
    try:
        for key, value in kaldiio.load_ark(str(path)):
            yield key, value
            last = f"utterance {key}"
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # kaldiio meets bad bytes with any of a dozen exceptions
        raise InputError(
            f"{path}: corrupt after {last}: {error}", remedy="make the archive again"
        ) from error
