"""Lattices of a set, packed into a few files that are read where they are wanted.

`lattice_writer` writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.arrays import RowFile, load_array
from asr_hf.data.checksums import FILE_NAME as CHECKSUMS
from asr_hf.data.checksums import Seal, crc32
from asr_hf.data.header import Header
from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import digest, file_digest

FORMAT = "asr-hf-lattices-1"
_REMEDY = "make the lattices again with: asr-hf lattices"
STATE = np.dtype("<i4")
# Each lattice's items lie one after another in these files, in the order of offsets.npy's columns.
FILES = {"arcs": ARC, "states": STATE, "finals": FINAL}
# The phone of each frame of the transcript, where labels do not tell.
PHONES = "phones.bin"
_ARRAYS = ("offsets.npy", "frames.npy", "pdf_of.npy", "phone_of.npy")
SMALL_FILES = (*_ARRAYS, CHECKSUMS, "utterances.txt")


class LatticeStore:
    """A store opened for reading; see `open`."""

    def __init__(self, folder: Path, header: Header) -> None:
        self.folder, self.about = folder, header.about
        self._seal = Seal(folder, self.about, "lattices.json", _REMEDY)
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
        """Open the store in `folder`.

        Raises:
            InputError: it is missing, truncated, damaged or of another format.
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
        """Those that have a lattice, in the order of the store.

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
        """Return what identifies the store: digests of its description, and of the lattices."""
        found = {"lattices.json": file_digest(self.folder / "lattices.json")}
        if self._sums is not None:
            found["arcs.bin"] = digest(self._sums.tolist())
        return found

    @property
    def has_checksums(self) -> bool:
        """Whether the store carries checksums at all."""
        return self._sums is not None

    @property
    def has_phones(self) -> bool:
        """Whether it holds the phones of what was said."""
        return self._phones is not None

    def num_frames(self, name: str) -> int:
        """Return frames of the utterance `name`.

        Raises:
            InputError: it has no lattice.
        """
        return int(self._frames[self._number(name)])

    def lattice(self, name: str) -> Lattice:
        """Return the lattice of the utterance `name`, read-only.

        Its checksum is looked at, and on first use that it is a lattice.

        Raises:
            InputError: it has no lattice, or a damaged one.
        """
        number = self._number(name)
        lattice = Lattice(name, *self._read(number, name)[0])
        if name not in self._checked:
            self._check(lattice, int(self._frames[number]))
            self._checked.add(name)
        return lattice

    def phones(self, name: str) -> NDArray[np.int32]:
        """Return the phone of each frame of what was said, int32 [frames]; only with `has_phones`.

        Raises:
            InputError: it has no lattice, or a damaged one.
        """
        found = self._read(self._number(name), name)[1]
        assert found is not None
        return found

    def _read(self, number: int, name: str) -> tuple[list[NDArray[Any]], NDArray[np.int32] | None]:
        """Return arcs, states and finals, and phones where there are any; compared with their checksum."""
        places = self._offsets[number : number + 2].T.tolist()
        pieces = [
            rows.read([(first, last)])
            for rows, (first, last) in zip(self._rows, places, strict=True)
        ]
        said = []
        if self._phones is not None:
            end = int(self._ends[number])
            said = [self._phones.read([(end - int(self._frames[number]), end)])]
        for piece in (*pieces, *said):
            piece.flags.writeable = False
        if self._sums is not None and crc32(*pieces, *said) != self._sums[number]:
            files = "arcs.bin, states.bin, finals.bin" + f" or {PHONES}" * bool(said)
            raise self._seal.damaged(files, name)
        return pieces, said[0] if said else None

    def check(self) -> Iterator[int]:
        """Check every lattice; yields the frames of each when it is done.

        Raises:
            InputError: one is damaged.
        """
        for name in self.utterances:
            yield self.lattice(name).num_frames

    def _check(self, lattice: Lattice, frames: int) -> None:
        try:
            lattice.check(len(self.pdf_of) - 1)
        except InputError as error:
            raise InputError(
                f"{self.folder}: {error.problem}",
                expected="the lattices as they were written",
                remedy=_REMEDY,
            ) from error
        if lattice.num_frames != frames:
            raise InputError(
                f"{self.folder}: {lattice.utterance}: a lattice of {lattice.num_frames} frames",
                expected=f"{frames}, as in frames.npy",
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
