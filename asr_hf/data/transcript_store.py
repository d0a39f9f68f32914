"""Keeps the transcript graphs of a set in a few files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from asr_hf.data.arrays import RowFile, load_array
from asr_hf.data.checksums import FILE_NAME as CHECKSUMS
from asr_hf.data.checksums import StoreChecksums, crc32, with_checksums
from asr_hf.data.header import Header
from asr_hf.data.transcript_graph import ARC, STATE, TranscriptGraph
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import replaced_folder, write_json, write_text
from asr_hf.runtime.provenance import digest, file_digest

FORMAT = "asr-hf-transcript-graphs-1"
HEADER = "graphs.json"
_REMEDY = "make the graphs again with: asr-hf align"
_FILES = {"arcs.bin": ARC, "states.bin": STATE}
_ARRAYS = ("offsets.npy", "frames.npy")
_MOST_PDFS = 10_000_000


class TranscriptStore:
    """A store of transcript graphs that is open for reading; see `open`.

    Args:
        folder: folder of the store.
        header: description of the store.

    Attributes:
        folder: folder of the store.
        about: content of graphs.json.
        num_pdfs: number of pdfs.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        self.folder, self.about = folder, header.about
        self._seal = StoreChecksums(folder, self.about, HEADER, _REMEDY)
        for name in _ARRAYS:
            self._seal.check(name)
        count, self.num_pdfs = header.count("utterances"), header.count("pdfs", 1, _MOST_PDFS)
        self._offsets = load_array(
            folder / "offsets.npy", np.dtype(np.int64), (count + 1, len(_FILES)), _REMEDY
        )
        self._frames = load_array(folder / "frames.npy", np.dtype(np.int32), (count,), _REMEDY)
        if self._offsets[0].any() or (self._offsets[1:] <= self._offsets[:-1]).any():
            raise InputError(
                f"{folder / 'offsets.npy'}: not the offsets of this store",
                expected=f"{count + 1} rows that rise from zero",
                remedy=_REMEDY,
            )
        self._rows = [
            RowFile(folder / name, dtype, (int(size),), _REMEDY)
            for (name, dtype), size in zip(_FILES.items(), self._offsets[-1], strict=True)
        ]
        self._sums = self._seal.of_utterances((count,))
        self._checked: set[str] = set()

    @classmethod
    def open(cls, folder: Path | str) -> TranscriptStore:
        """Open a store of transcript graphs.

        Args:
            folder: folder of the store.

        Returns:
            The store.

        Raises:
            InputError: the store is missing, truncated, damaged or of another format.
        """
        folder = Path(folder)
        if not (folder / HEADER).is_file():
            raise InputError(
                f"{folder}: no graphs of transcripts",
                expected=f"{HEADER} and arcs.bin",
                remedy="asr-hf align with alignment=none and the same overrides makes them",
            )
        return cls(folder, Header.read(folder / HEADER, FORMAT, _REMEDY))

    @cached_property
    def utterances(self) -> list[str]:
        """The names of the utterances, in the order of the store."""
        path = self.folder / "utterances.txt"
        self._seal.check("utterances.txt")
        try:
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read: {error}", remedy=_REMEDY) from error
        if len(lines) != len(self._frames):
            raise InputError(
                f"{path}: {len(lines)} lines", expected=str(len(self._frames)), remedy=_REMEDY
            )
        return lines

    @cached_property
    def _place(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.utterances)}

    def __contains__(self, name: object) -> bool:
        return name in self._place

    @property
    def has_checksums(self) -> bool:
        """Whether the store has checksums."""
        return self._sums is not None

    def digests(self) -> dict[str, str]:
        """Return the digests that identify the store: of its description and of the graphs."""
        digests = {HEADER: file_digest(self.folder / HEADER)}
        if self._sums is not None:
            digests["arcs.bin"] = digest(self._sums.tolist())
        return digests

    def num_frames(self, name: str) -> int:
        """Return the number of frames of an utterance that is in the store."""
        return int(self._frames[self._place[name]])

    def graph(self, name: str) -> TranscriptGraph:
        """Return the graph of an utterance.

        Its checksum is compared, and its form is checked when it is read for the first time.

        Args:
            name: name of the utterance.

        Raises:
            InputError: the utterance has no graph, or a damaged one.
        """
        if name not in self._place:
            raise InputError(
                f"{self.folder}: no graph of {name}",
                expected="an utterance that was not skipped",
                remedy=_REMEDY,
            )
        number = self._place[name]
        ranges = self._offsets[number : number + 2].T.tolist()
        pieces = [
            rows.read([(first, last)])
            for rows, (first, last) in zip(self._rows, ranges, strict=True)
        ]
        if self._sums is not None and crc32(*pieces) != self._sums[number]:
            raise self._seal.damaged(" or ".join(_FILES), name)
        arcs, states = pieces
        graph = TranscriptGraph(name, arcs, states, int(self._frames[number]))
        if name not in self._checked:
            graph.check(self.num_pdfs)
            self._checked.add(name)
        return graph

    def check(self) -> Iterator[int]:
        """Check every graph.

        Yields:
            The number of frames of each utterance, when its graph is done.

        Raises:
            InputError: a graph is damaged.
        """
        for name in self.utterances:
            yield self.graph(name).num_frames


def write_transcripts(
    folder: Path, graphs: Iterable[TranscriptGraph], num_pdfs: int, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Write a store of transcript graphs, which takes the place of `folder` when it is whole.

    Args:
        folder: folder of the store.
        graphs: the graphs, in the order of the store.
        num_pdfs: number of pdfs.
        about: values that graphs.json holds beside the counts; read when the graphs are written.

    Returns:
        The content of graphs.json.

    Raises:
        RunError: the disk is full, or the folder is read-only.
    """
    names, frames, sums = [], [], []
    ends = [np.zeros(len(_FILES), np.int64)]
    with replaced_folder(folder) as part:
        with open(part / "arcs.bin", "wb") as arcs, open(part / "states.bin", "wb") as states:
            for graph in graphs:
                pieces = [
                    np.ascontiguousarray(piece, dtype)
                    for piece, dtype in zip((graph.arcs, graph.states), (ARC, STATE), strict=True)
                ]
                arcs.write(pieces[0].tobytes())
                states.write(pieces[1].tobytes())
                names.append(graph.utterance)
                frames.append(graph.num_frames)
                sums.append(crc32(*pieces))
                ends.append(ends[-1] + np.array([len(piece) for piece in pieces]))
            for file in (arcs, states):
                file.flush()
                os.fsync(file.fileno())
        np.save(part / "offsets.npy", np.asarray(ends), allow_pickle=False)
        np.save(part / "frames.npy", np.asarray(frames, np.int32), allow_pickle=False)
        np.save(part / CHECKSUMS, np.asarray(sums, np.uint32), allow_pickle=False)
        write_text(part / "utterances.txt", "".join(f"{name}\n" for name in names))
        header = {"format": FORMAT, "utterances": len(names), "pdfs": num_pdfs}
        header |= {"frames": sum(frames), "arcs": int(ends[-1][0]), "states": int(ends[-1][1])}
        small = (*_ARRAYS, CHECKSUMS, "utterances.txt")
        written = with_checksums(part, header | dict(about), small)
        write_json(part / HEADER, written)
    return written
