"""The packed frame store: a file of unspliced frames, a file of labels, and an index of utterances.

Opening a store reads only the index, so that hundreds of hours open in milliseconds. The checksum
of an utterance is compared whenever the utterance is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr_hf.data.arrays import RowFile, load_array
from asr_hf.data.checksums import StoreChecksums, crc32
from asr_hf.data.frame_batch import FrameBatch
from asr_hf.data.header import Header
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import digest, file_digest

FORMAT = "asr-hf-store-1"
_REMEDY = "make the store again with: asr-hf align"
_FRAMES, _LABELS = 0, 1
_STRETCH = 1 << 22
# Far more than any tree has; the limit keeps a damaged header from filling the memory.
_MAX_PDFS = 10_000_000


class FrameStore:
    """A frame store that is open for reading; see `open`.

    Args:
        folder: folder of the store.
        header: description of the store.

    Attributes:
        folder: folder of the store.
        about: content of store.json.
        dim: number of dimensions of a frame.
        labelled: whether frames have labels.
        num_pdfs: number of pdfs; 0 in a store that is only decoded.
        dtype: type of the features.
        frame_bytes: size of a frame's features (bytes).
        offsets: first frame of each utterance, and the number of frames last [U+1], int64.
        num_frames: number of frames.
        num_units: number of utterances.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        self.folder, self.about = folder, header.about
        self.dim = header.count("dim", minimum=1)
        self.num_pdfs = header.count("num_pdfs", maximum=_MAX_PDFS)
        self.dtype = np.dtype(header.choice("dtype", ("float16", "float32")))
        self.frame_bytes = self.dim * int(self.dtype.itemsize)
        self._seal = StoreChecksums(folder, self.about, "store.json", _REMEDY)
        self._seal.check("offsets.npy")
        self.offsets = _load_offsets(folder / "offsets.npy", header.count("utterances"))
        self.num_frames, self.num_units = int(self.offsets[-1]), len(self.offsets) - 1
        self._frames = RowFile(
            folder / "frames.bin", self.dtype, (self.num_frames, self.dim), _REMEDY
        )
        self.labelled = header.flag("labelled")
        self._labels = (
            RowFile(folder / "labels.bin", np.dtype(np.int32), (self.num_frames,), _REMEDY)
            if self.labelled
            else None
        )
        # The columns are those of frames and of labels.
        self._sums = self._seal.of_utterances((self.num_units, 2))

    @classmethod
    def open(cls, folder: Path | str) -> FrameStore:
        """Open a frame store.

        Args:
            folder: folder of the store.

        Returns:
            The store.

        Raises:
            InputError: the store is missing, truncated, damaged or of another format.
        """
        folder = Path(folder)
        path = folder / "store.json"
        if not path.is_file():
            raise InputError(
                f"{folder}: no frame store", expected="store.json and frames.bin", remedy=_REMEDY
            )
        return cls(folder, Header.read(path, FORMAT, _REMEDY))

    @cached_property
    def utterances(self) -> list[str]:
        """The names of the utterances, in the order of the store."""
        return self._lines("utterances.txt")

    @cached_property
    def speakers(self) -> list[str]:
        """The speaker of each utterance."""
        return self._lines("speakers.txt")

    def _lines(self, name: str) -> list[str]:
        path = self.folder / name
        self._seal.check(name)
        try:
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read: {error}", remedy=_REMEDY) from error
        if len(lines) != self.num_units:
            raise InputError(
                f"{path}: {len(lines)} lines", expected=str(self.num_units), remedy=_REMEDY
            )
        return lines

    def num_frames_of(self, unit: int) -> int:
        """Return the number of frames of utterance number `unit`."""
        return int(self.offsets[unit + 1] - self.offsets[unit])

    def gather(self, units: np.ndarray, device: torch.device) -> FrameBatch:
        """Return utterances as a batch on a device.

        Args:
            units: numbers of the utterances [K], in the order of the batch.
            device: device of the batch.
        """
        return self.read(units, pinned=device.type == "cuda").to(device)

    def read(self, units: np.ndarray, pinned: bool = False) -> FrameBatch:
        """Read utterances from the files.

        Args:
            units: numbers of the utterances [K], in the order of the batch.
            pinned: whether the batch is in page-locked memory.

        Returns:
            The batch, on the CPU.

        Raises:
            InputError: a file is damaged, or was cut short while it is open.
        """
        units = np.asarray(units, dtype=np.int64)
        firsts, lasts = self.offsets[units], self.offsets[units + 1]
        lengths = lasts - firsts
        runs = _runs(firsts, lasts)
        ends = np.cumsum(lengths)
        starts = ends - lengths
        total = int(lengths.sum())
        self._frames.prefetch(runs)
        features = _buffer((total, self.dim), self.dtype, pinned)
        labels = _buffer((0 if self._labels is None else total,), np.dtype(np.int64), pinned)
        if self._labels is not None:
            self._labels.prefetch(runs)
        self._frames.read_into(features.numpy(), runs)
        self._check(_FRAMES, units, starts, features.numpy())
        if self._labels is not None:
            narrow = self._labels.read(runs)
            self._check(_LABELS, units, starts, narrow)
            labels.numpy()[:] = narrow
        bounds = (torch.from_numpy(np.repeat(x, lengths)) for x in (starts, ends))
        return FrameBatch(features, labels, *(x.pin_memory() if pinned else x for x in bounds))

    def check(self) -> Iterator[int]:
        """Check every byte against its checksum, stretch by stretch.

        Yields:
            The number of frames of each stretch, when it is done.

        Raises:
            InputError: a file is damaged.
        """
        _ = self.utterances, self.speakers
        for units in self._stretches():
            self.read(units)
            yield int(self.offsets[units[-1] + 1] - self.offsets[units[0]])

    def digests(self) -> dict[str, str]:
        """Return the digests that identify the store: of its description, frames and labels."""
        digests = {"store.json": file_digest(self.folder / "store.json")}
        if self._sums is not None:
            for file, column in zip(("frames.bin", "labels.bin"), self._sums.T, strict=True):
                digests[file] = digest(column.tolist())
        return digests

    @property
    def has_checksums(self) -> bool:
        """Whether the store has checksums."""
        return self._sums is not None

    def _check(self, column: int, units: np.ndarray, starts: np.ndarray, rows: np.ndarray) -> None:
        """Compare the `rows` of utterances that begin at `starts` with their checksums."""
        if self._sums is None:
            return
        sums, lengths = self._sums[units, column], self.offsets[units + 1] - self.offsets[units]
        places = zip(starts.tolist(), lengths.tolist(), sums.tolist(), units.tolist(), strict=True)
        for start, length, expected, unit in places:
            if crc32(rows[start : start + length]) != expected:
                name = ("frames.bin", "labels.bin")[column]
                raise self._seal.damaged(name, self.utterances[unit])

    def _stretches(self) -> Iterator[np.ndarray]:
        """Yield stretches of neighbouring utterances with about `_STRETCH` frames each."""
        cuts = np.searchsorted(self.offsets, np.arange(0, self.num_frames, _STRETCH))
        edges = np.unique(np.append(cuts, self.num_units)).tolist()
        return (np.arange(first, last) for first, last in pairwise(edges))

    def label_counts(self) -> np.ndarray:
        """Return the number of frames of each pdf [pdfs], int64.

        Raises:
            InputError: the store has no labels, they are damaged, or a label is not a pdf.
        """
        if self._labels is None:
            raise InputError(f"{self.folder}: this store has no labels", remedy=_REMEDY)
        counts = np.zeros(self.num_pdfs, dtype=np.int64)
        for units in self._stretches():
            start = int(self.offsets[units[0]])
            piece = self._labels.read([(start, int(self.offsets[units[-1] + 1]))])
            self._check(_LABELS, units, self.offsets[units] - start, piece)
            wrong = np.flatnonzero((piece < 0) | (piece >= self.num_pdfs))
            if len(wrong):
                raise self._wrong_label(start + int(wrong[0]), int(piece[wrong[0]]))
            counts += np.bincount(piece, minlength=self.num_pdfs)
        return counts

    def _wrong_label(self, frame: int, label: int) -> InputError:
        unit = int(np.searchsorted(self.offsets, frame, side="right")) - 1
        return InputError(
            f"{self.folder}/labels.bin: utterance {self.utterances[unit]}: pdf {label} at frame "
            f"{frame - int(self.offsets[unit])}",
            expected=f"pdfs from 0 to {self.num_pdfs - 1}",
            remedy=_REMEDY,
        )


def _load_offsets(path: Path, utterances: int) -> np.ndarray:
    offsets = load_array(path, np.dtype(np.int64), (utterances + 1,), _REMEDY)
    if offsets[0] or (offsets[1:] <= offsets[:-1]).any():
        raise InputError(
            f"{path}: not the offsets of this store",
            expected=f"{utterances + 1} rising offsets",
            remedy=_REMEDY,
        )
    return offsets


def _runs(firsts: np.ndarray, lasts: np.ndarray) -> list[tuple[int, int]]:
    """Return the ranges of rows to read, with neighbouring utterances joined."""
    if not len(firsts):
        return []
    breaks = np.flatnonzero(firsts[1:] != lasts[:-1]) + 1
    starts = firsts[np.concatenate([[0], breaks])]
    stops = lasts[np.concatenate([breaks - 1, [len(lasts) - 1]])]
    return list(zip(starts.tolist(), stops.tolist(), strict=True))


def _buffer(shape: tuple[int, ...], dtype: np.dtype[Any], pinned: bool) -> Tensor:
    unpinned = torch.from_numpy(np.empty((0, *shape[1:]) if pinned else shape, dtype))
    return torch.empty(shape, dtype=unpinned.dtype, pin_memory=True) if pinned else unpinned
