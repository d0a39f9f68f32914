"""Lattices of a set, packed into a few files that are read where they are wanted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.arrays import RowFile, load_array
from asr_hf.data.checksums import FILE_NAME as CHECKSUMS
from asr_hf.data.checksums import Seal, crc32, sealed
from asr_hf.data.header import Header
from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import replaced_folder, write_json, write_text

FORMAT = "asr-hf-lattices-1"
_REMEDY = "make the lattices again with: asr-hf lattices"
_STATE = np.dtype("<i4")
# Each lattice's items lie one after another in these files, in the order of offsets.npy's columns.
_FILES = {"arcs": ARC, "states": _STATE, "finals": FINAL}
# The phone of each frame of the transcript, where labels do not tell.
_PHONES = "phones.bin"
_ARRAYS = ("offsets.npy", "frames.npy", "pdf_of.npy", "phone_of.npy")
_SMALL_FILES = (*_ARRAYS, CHECKSUMS, "utterances.txt")


@dataclass(frozen=True)
class LabelMap:
    """What the labels of lattice arcs stand for.

    Args:
        pdf_of, phone_of: int32 [transition ids + 1], entry 0 unused.
        silence_phones: phone ids of silence and noises.
    """

    pdf_of: NDArray[np.int32]
    phone_of: NDArray[np.int32]
    silence_phones: Sequence[int]


def write_lattices(
    folder: Path,
    lattices: Iterable[Lattice],
    labels: LabelMap,
    about: Mapping[str, Any],
    phones: Mapping[str, NDArray[np.int32]] | None = None,
) -> dict[str, Any]:
    """Write a store, which takes the place of `folder` when it is whole.

    Args:
        folder: where it goes.
        lattices: in the order they are to have.
        labels: of all of them.
        about: what lattices.json says beside the counts.
        phones: of each frame of the transcripts, by utterance; needed where phones share pdfs.

    Returns:
        What lattices.json says.

    Raises:
        RunError: the disk is full or the folder read-only.
    """
    names: list[str] = []
    frames: list[int] = []
    offsets: list[NDArray[np.int64]] = [np.zeros(3, np.int64)]
    sums: list[int] = []
    with replaced_folder(folder) as part:
        names_of_files = [f"{name}.bin" for name in _FILES] + [_PHONES] * (phones is not None)
        files = [open(part / name, "wb") for name in names_of_files]  # noqa: SIM115
        try:
            for lattice in lattices:
                pieces = [
                    np.ascontiguousarray(piece, dtype)
                    for piece, dtype in zip(
                        (lattice.arcs, lattice.frame_of, lattice.finals),
                        _FILES.values(),
                        strict=True,
                    )
                ]
                said = [] if phones is None else [_spoken(lattice, phones)]
                for file, piece in zip(files, [*pieces, *said], strict=True):
                    file.write(piece.tobytes())
                sums.append(crc32(*pieces, *said))
                names.append(lattice.utterance)
                frames.append(lattice.num_frames)
                offsets.append(offsets[-1] + np.array([len(piece) for piece in pieces]))
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        finally:
            for file in files:
                file.close()
        np.save(part / "offsets.npy", np.asarray(offsets), allow_pickle=False)
        np.save(part / "frames.npy", np.asarray(frames, np.int32), allow_pickle=False)
        np.save(part / "pdf_of.npy", labels.pdf_of.astype(np.int32), allow_pickle=False)
        np.save(part / "phone_of.npy", labels.phone_of.astype(np.int32), allow_pickle=False)
        np.save(part / CHECKSUMS, np.asarray(sums, np.uint32), allow_pickle=False)
        write_text(part / "utterances.txt", "".join(f"{name}\n" for name in names))
        counts = dict(zip(_FILES, offsets[-1].tolist(), strict=True))
        head = {"format": FORMAT, "utterances": len(names), "frames": sum(frames), **counts}
        labels_say = {
            "transition_ids": len(labels.pdf_of) - 1,
            "silence_phones": list(labels.silence_phones),
            "phones_of_transcripts": phones is not None,
        }
        written = sealed(part, head | labels_say | dict(about), _SMALL_FILES)
        write_json(part / "lattices.json", written)
    return written


def _spoken(lattice: Lattice, phones: Mapping[str, NDArray[np.int32]]) -> NDArray[np.int32]:
    found = np.ascontiguousarray(phones[lattice.utterance], _STATE)
    assert len(found) == lattice.num_frames
    return found


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
            for (name, dtype), size in zip(_FILES.items(), self._offsets[-1], strict=True)
        ]
        self._ends = np.cumsum(self._frames, dtype=np.int64)
        self._phones: RowFile | None = None
        if self.about.get("phones_of_transcripts"):
            total = int(self._ends[-1]) if count else 0
            self._phones = RowFile(folder / _PHONES, _STATE, (total,), _REMEDY)
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

    @property
    def has_checksums(self) -> bool:
        """Whether the store carries checksums at all."""
        return self._sums is not None

    @property
    def has_phones(self) -> bool:
        """Whether it holds the phones of what was said."""
        return self._phones is not None

    def num_frames(self, name: str) -> int:
        """Frames of the utterance `name`.

        Raises:
            InputError: it has no lattice.
        """
        return int(self._frames[self._number(name)])

    def lattice(self, name: str) -> Lattice:
        """The lattice of the utterance `name`, read-only.

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
        """The phone of each frame of what was said, int32 [frames]; only with `has_phones`.

        Raises:
            InputError: it has no lattice, or a damaged one.
        """
        found = self._read(self._number(name), name)[1]
        assert found is not None
        return found

    def _read(self, number: int, name: str) -> tuple[list[NDArray[Any]], NDArray[np.int32] | None]:
        """Arcs, states and finals, and phones where there are any; compared with their checksum."""
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
            files = "arcs.bin, states.bin, finals.bin" + f" or {_PHONES}" * bool(said)
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
