"""Checksums that stores carry, so that no damaged byte is trained on.

The large files have a CRC-32 for each utterance, looked at whenever the utterance is read: it finds
every flipped bit and every burst of up to 32, names the utterance, and at 4 GB/s costs less than a
hundredth of what the network does with the frames. The small files have a SHA-256 each in the
store's description, and the description has one of itself.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.arrays import load_array
from asr_hf.runtime.errors import InputError

FILE_NAME = "checksums.npy"
_OWN, _FILES = "checksum", "files"


def crc32_of(data: bytes | memoryview) -> str:
    """CRC-32 of some bytes, as eight hexadecimal digits."""
    return f"{zlib.crc32(data):08x}"


def crc32(*pieces: NDArray[Any]) -> int:
    """CRC-32 of the bytes of C-contiguous arrays, one after another."""
    value = 0
    for piece in pieces:
        value = zlib.crc32(piece.reshape(-1).view(np.uint8).data, value)
    return value


def sealed(folder: Path, about: dict[str, Any], files: Iterable[str]) -> dict[str, Any]:
    """Return the description `about` of the store in `folder`, with the checksums of `files` and its own.

    Args:
        folder: where the store's files are, whole.
        about: JSON-able.
        files: names of the small files.
    """
    listed = about | {_FILES: {name: _sha256((folder / name).read_bytes()) for name in files}}
    # As it will be read, with keys that are text.
    return listed | {_OWN: _digest(json.loads(json.dumps(listed)))}


class Seal:
    """The checksums of one store.

    Args:
        folder: the store.
        about: its description as read; one without a checksum of its own, as a store made by
            other tools may have, promises nothing and nothing is checked.
        name: the description's file.
        remedy: what the user can do when a file is damaged.
    """

    def __init__(self, folder: Path, about: dict[str, Any], name: str, remedy: str) -> None:
        self._folder, self._remedy = folder, remedy
        self.there = _OWN in about or (folder / FILE_NAME).exists()
        digests = about.get(_FILES) if self.there else {}
        own = _digest({key: about[key] for key in about if key != _OWN})
        if not isinstance(digests, dict) or (self.there and about.get(_OWN) != own):
            raise self.damaged(name)
        self._digests: dict[str, Any] = digests

    def check(self, name: str) -> None:
        """Check a small file.

        Raises:
            InputError: it is missing or damaged.
        """
        if name not in self._digests:
            return
        path = self._folder / name
        try:
            found = _sha256(path.read_bytes())
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read: {error.strerror or error}", remedy=self._remedy
            ) from error
        if found != self._digests[name]:
            raise self.damaged(name)

    def of_utterances(self, shape: tuple[int, ...]) -> NDArray[np.uint32] | None:
        """CRC-32 of each utterance's pieces, of the given shape; None where there are none.

        Raises:
            InputError: checksums.npy is damaged or does not fit.
        """
        if not self.there:
            return None
        self.check(FILE_NAME)
        sums: NDArray[np.uint32] = load_array(
            self._folder / FILE_NAME, np.dtype(np.uint32), shape, self._remedy
        )
        return sums

    def damaged(self, name: str, utterance: str = "") -> InputError:
        """Return the error for a damaged file of the store."""
        where = f": utterance {utterance}" if utterance else ""
        return InputError(
            f"{self._folder / name}{where}: damaged: its checksum is wrong",
            expected="the bytes that were written",
            remedy=f"{self._remedy}; look at the disk or memory if it happens again",
        )


def _digest(about: dict[str, Any]) -> str:
    return _sha256(json.dumps(about, sort_keys=True, ensure_ascii=True).encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
