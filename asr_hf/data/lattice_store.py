"""Reads the lattices of a set, which `lattice_writer` has packed into a few files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.arrays import RowFile, load_array
from asr_hf.data.checksums import FILE_NAME as CHECKSUMS
from asr_hf.data.checksums import StoreChecksums, crc32
from asr_hf.data.header import Header
from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import digest, file_digest

FORMAT = "asr-hf-lattices-1"
_REMEDY = "make the lattices again with: asr-hf lattices"
STATE = np.dtype("<i4")
# The files that hold all lattices' arcs, states and finals, in the order of offsets.npy's columns.
FILES = {"arcs": ARC, "states": STATE, "finals": FINAL}
# The phone of each frame of the transcript, in stores where the labels do not give it.
PHONES = "phones.bin"
_ARRAYS = ("offsets.npy", "frames.npy", "pdf_of.npy", "phone_of.npy")
SMALL_FILES = (*_ARRAYS, CHECKSUMS, "utterances.txt")


class LatticeStore:
    """A lattice store that is open for reading; see `open`.

    Args:
        folder: folder of the store.
        header: description of the store.

    Attributes:
        folder: folder of the store.
        about: content of lattices.json.
        pdf_of: pdf of each transition id [transition ids + 1], int32; entry 0 is unused.
        phone_of: phone of each transition id [transition ids + 1], int32; entry 0 is unused.
        silence_phones: ids of the phones of silence and noises.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        self.folder, self.about = folder, header.about
        self._seal = StoreChecksums(folder, self.about, "lattices.json", _REMEDY)
        for name in _ARRAYS:
            self._seal.check(name)
        count, labels = header.count("utterances"), header.count("transition_ids") + 1
        self._offsets = self._load("offsets.npy", np.dtype(np.int64), (count + 1, 3))
        self._frames = self._load("frames.npy", np.dtype(np.int32), (count,))
        self.pdf_of = self._load("pdf_of.npy", np.dtype(np.int32), (labels,))
        self.phone_of = self._load("phone_of.npy", np.dtype(np.int32), (labels,))
        self.silence_phones: list[int] = header.counts("silence_phones")
        if self._offsets[0].any() or (self._offsets[1:] <= self._offsets[:-1]).any():
            raise InputError(
                f"{folder / 'offsets.npy'}: not the offsets of this store",
                expected=f"{count + 1} rows that rise from zero",
                remedy=_REMEDY,
            )
        self._rows = [
            RowFile(folder / f"{name}.bin", dtype, (int(size),), _REMEDY)
            for (name, dtype), size in zip(FILES.items(), self._offsets[-1], strict=True)
        ]
        self._ends = np.cumsum(self._frames, dtype=np.int64)
        self._phones: RowFile | None = None
        if self.about.get("phones_of_transcripts"):
            total = int(self._ends[-1]) if count else 0
            self._phones = RowFile(folder / PHONES, STATE, (total,), _REMEDY)
        self._sums = self._seal.of_utterances((count,))
        self._checked: set[str] = set()

    @classmethod
    def open(cls, folder: Path | str) -> LatticeStore:
        """Open a lattice store.

        Args:
            folder: folder of the store.

        Returns:
            The store.

        Raises:
            InputError: the store is missing, truncated, damaged or of another format.
        """
        folder = Path(folder)
        path = folder / "lattices.json"
        if not path.is_file():
            raise InputError(
                f"{folder}: no lattices",
                expected="lattices.json and arcs.bin",
                remedy="asr-hf lattices with the same overrides makes them",
            )
        return cls(folder, Header.read(path, FORMAT, _REMEDY))

    @cached_property
    def utterances(self) -> list[str]:
        """The utterances that have a lattice, in the order of the store.

        Raises:
            InputError: utterances.txt does not fit the store.
        """
        path = self.folder / "utterances.txt"
        self._seal.check("utterances.txt")
        try:
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read: {error}", remedy=_REMEDY) from error
        if len(set(lines)) != len(self._frames) or len(lines) != len(self._frames):
            raise InputError(
                f"{path}: {len(lines)} lines, {len(set(lines))} of them different",
                expected=f"{len(self._frames)} utterances",
                remedy=_REMEDY,
            )
        return lines

    @cached_property
    def _place(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.utterances)}

    def __contains__(self, name: object) -> bool:
        return name in self._place

    def digests(self) -> dict[str, str]:
        """Return the digests that identify the store: of its description and of the lattices."""
        digests = {"lattices.json": file_digest(self.folder / "lattices.json")}
        if self._sums is not None:
            digests["arcs.bin"] = digest(self._sums.tolist())
        return digests

    @property
    def has_checksums(self) -> bool:
        """Whether the store has checksums."""
        return self._sums is not None

    @property
    def has_phones(self) -> bool:
        """Whether the store holds the phones of the transcripts."""
        return self._phones is not None

    def num_frames(self, name: str) -> int:
        """Return the number of frames of an utterance.

        Raises:
            InputError: the utterance has no lattice.
        """
        return int(self._frames[self._number(name)])

    def lattice(self, name: str) -> Lattice:
        """Return the lattice of an utterance, read-only.

        Its checksum is compared, and its form is checked when it is read for the first time.

        Args:
            name: name of the utterance.

        Raises:
            InputError: the utterance has no lattice, or a damaged one.
        """
        number = self._number(name)
        lattice = Lattice(name, *self._read(number, name)[0])
        if name not in self._checked:
            self._check(lattice, int(self._frames[number]))
            self._checked.add(name)
        return lattice

    def phones(self, name: str) -> NDArray[np.int32]:
        """Return the phone of each frame of the transcript [F], int32; needs `has_phones`.

        Args:
            name: name of the utterance.

        Raises:
            InputError: the utterance has no lattice, or a damaged one.
        """
        phones = self._read(self._number(name), name)[1]
        assert phones is not None
        return phones

    def _read(self, number: int, name: str) -> tuple[list[NDArray[Any]], NDArray[np.int32] | None]:
        """Read arcs, states and finals, and phones if there are any; check them."""
        ranges = self._offsets[number : number + 2].T.tolist()
        pieces = [
            rows.read([(first, last)])
            for rows, (first, last) in zip(self._rows, ranges, strict=True)
        ]
        phones = []
        if self._phones is not None:
            end = int(self._ends[number])
            phones = [self._phones.read([(end - int(self._frames[number]), end)])]
        for piece in (*pieces, *phones):
            piece.flags.writeable = False
        if self._sums is not None and crc32(*pieces, *phones) != self._sums[number]:
            files = "arcs.bin, states.bin, finals.bin" + f" or {PHONES}" * bool(phones)
            raise self._seal.damaged(files, name)
        return pieces, phones[0] if phones else None

    def check(self) -> Iterator[int]:
        """Check every lattice.

        Yields:
            The number of frames of each lattice, when it is done.

        Raises:
            InputError: a lattice is damaged.
        """
        for name in self.utterances:
            yield self.lattice(name).num_frames

    def _check(self, lattice: Lattice, num_frames: int) -> None:
        try:
            lattice.check(len(self.pdf_of) - 1)
        except InputError as error:
            raise InputError(
                f"{self.folder}: {error.problem}",
                expected="the lattices as they were written",
                remedy=_REMEDY,
            ) from error
        if lattice.num_frames != num_frames:
            raise InputError(
                f"{self.folder}: {lattice.utterance}: a lattice of {lattice.num_frames} frames",
                expected=f"{num_frames}, as in frames.npy",
                remedy=_REMEDY,
            )

    def _number(self, name: str) -> int:
        if name not in self._place:
            raise InputError(
                f"{self.folder}: no lattice of {name}",
                expected="an utterance that was not skipped",
                remedy=_REMEDY,
            )
        return self._place[name]

    def _load(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        return load_array(self.folder / name, dtype, shape, _REMEDY)
