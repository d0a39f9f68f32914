"""The checksums of stores, which keep damaged bytes out of the training.

The large files have a CRC-32 for each utterance, which is checked whenever the utterance is read. A
CRC-32 finds every flipped bit and every burst of up to 32; at 4 GB/s it costs less than a hundredth
of the network's work on the frames. The store's description holds a SHA-256 of each small file, and
one of itself.
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
_CHECKSUM, _FILES = "checksum", "files"


def crc32_of(data: bytes | memoryview) -> str:
    """Return the CRC-32 of some bytes, as eight hexadecimal digits.

    >>> crc32_of(b"123456789")
    'cbf43926'
    """
    return f"{zlib.crc32(data):08x}"


def crc32(*pieces: NDArray[Any]) -> int:
    """Return the CRC-32 of the bytes of C-contiguous arrays, one after another."""
    value = 0
    for piece in pieces:
        value = zlib.crc32(piece.reshape(-1).view(np.uint8).data, value)
    return value


def with_checksums(folder: Path, about: dict[str, Any], files: Iterable[str]) -> dict[str, Any]:
    """Return a store's description with the checksums of its small files and its own.

    Args:
        folder: folder of the store, whose files are all written.
        about: JSON-able description.
        files: names of the small files.
    """
    listed = about | {_FILES: {name: _sha256((folder / name).read_bytes()) for name in files}}
    # The digest is that of the description as it will be read, with keys that are text.
    return listed | {_CHECKSUM: _digest(json.loads(json.dumps(listed)))}


class StoreChecksums:
    """The checksums of one store.

    If the description has no checksum of its own, as in stores made by other tools, nothing is
    checked.

    Args:
        folder: folder of the store.
        about: description of the store, as it was read.
        name: name of the description's file.
        remedy: what the user can do if a file is damaged, for messages.

    Raises:
        InputError: the description is damaged.
    """

    def __init__(self, folder: Path, about: dict[str, Any], name: str, remedy: str) -> None:
        self._folder, self._remedy = folder, remedy
        self._present = _CHECKSUM in about or (folder / FILE_NAME).exists()
        digests = about.get(_FILES) if self._present else {}
        expected = _digest({key: about[key] for key in about if key != _CHECKSUM})
        if not isinstance(digests, dict) or (self._present and about.get(_CHECKSUM) != expected):
            raise self.damaged(name)
        self._digests: dict[str, Any] = digests

    def check(self, name: str) -> None:
        """Check a small file.

        Args:
            name: name of the file.

        Raises:
            InputError: the file is missing or damaged.
        """
        if name not in self._digests:
            return
        path = self._folder / name
        try:
            actual = _sha256(path.read_bytes())
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read: {error.strerror or error}", remedy=self._remedy
            ) from error
        if actual != self._digests[name]:
            raise self.damaged(name)

    def of_utterances(self, shape: tuple[int, ...]) -> NDArray[np.uint32] | None:
        """Return the CRC-32 of each utterance's pieces; None for a store without checksums.

        Args:
            shape: shape that the array of checksums must have.

        Raises:
            InputError: checksums.npy is damaged, or has another shape.
        """
        if not self._present:
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
