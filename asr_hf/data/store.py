"""The packed frame store: one file of unspliced frames, one of labels, an utterance index.

Opening reads the index alone, so that hundreds of hours open in milliseconds. Each utterance's
checksum is looked at whenever it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr_hf.data.arrays import RowFile, load_array
from asr_hf.data.checksums import Seal, crc32
from asr_hf.data.header import Header
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import digest, file_digest

FORMAT = "asr-hf-store-1"
_REMEDY = "make the store again with: asr-hf align"
_FRAMES, _LABELS = 0, 1
_STRETCH = 1 << 22
# Far more than any tree has; tables of all pdfs are held.
_MAX_PDFS = 10_000_000


@dataclass(frozen=True)
class FrameBatch:
    """The frames of some utterances, side by side.

    Args:
        features: unspliced features [F, D] in the store's dtype.
        labels: pdf of each frame [F], int64; empty when the store has none.
        starts: where each frame's utterance begins in the batch [F], int64.
        ends: where it ends (exclusive) [F], int64.
    """

    features: Tensor
    labels: Tensor
    starts: Tensor
    ends: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Frames, labels, starts and ends."""
        return self.features, self.labels, self.starts, self.ends

    def to(self, device: torch.device) -> FrameBatch:
        """Return the batch on `device`; a copy from page-locked memory goes on beside other work."""
        return FrameBatch(*(x.to(device, non_blocking=True) for x in self.tensors))


class FrameStore:
    """A store opened for reading; see `open`."""

    def __init__(self, folder: Path, header: Header) -> None:
        self.folder, self.about = folder, header.about
        self.dim = header.count("dim", least=1)
        self.num_pdfs = header.count("num_pdfs", most=_MAX_PDFS)
        self.dtype = np.dtype(header.choice("dtype", ("float16", "float32")))
        self.frame_bytes = self.dim * int(self.dtype.itemsize)
        self._seal = Seal(folder, self.about, "store.json", _REMEDY)
        self._seal.check("offsets.npy")
        self.offsets = _load_offsets(folder / "offsets.npy", header.count("utterances"))
        self.num_frames, self.num_units = int(self.offsets[-1]), len(self.offsets) - 1
        self._frames = RowFile(
            folder / "frames.bin", self.dtype, (self.num_frames, self.dim), _REMEDY
        )
        self._labels = (
            RowFile(folder / "labels.bin", np.dtype(np.int32), (self.num_frames,), _REMEDY)
            if header.flag("labelled")
            else None
        )
        # Columns: frames, labels.
        self._sums = self._seal.of_utterances((self.num_units, 2))

    @classmethod
    def open(cls, folder: Path | str) -> FrameStore:
        """Open the store in `folder`.

        Raises:
            InputError: it is missing, truncated, damaged or of another format.
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
        """Utterance ids, in store order."""
        return self._lines("utterances.txt")

    @cached_property
    def speakers(self) -> list[str]:
        """Each utterance's speaker."""
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

    def frames_of(self, unit: int) -> int:
        """Return frames of utterance number `unit`."""
        return int(self.offsets[unit + 1] - self.offsets[unit])

    def gather(self, units: np.ndarray, device: torch.device) -> FrameBatch:
        """Bring utterances to `device`, side by side in the order given."""
        return self.read(units, pinned=device.type == "cuda").to(device)

    def read(self, units: np.ndarray, pinned: bool = False) -> FrameBatch:
        """Copy utterances from the files, to page-locked memory if `pinned`.

        Raises:
            InputError: a file is damaged, or was cut short while in use.
        """
        units = np.asarray(units, dtype=np.int64)
        firsts, lasts = self.offsets[units], self.offsets[units + 1]
        lengths = lasts - firsts
        runs = _runs(firsts, lasts)
        ends = np.cumsum(lengths)
        starts = ends - lengths
        total = int(lengths.sum())
        self._frames.expect(runs)
        frames = _room((total, self.dim), self.dtype, pinned)
        labels = _room((0 if self._labels is None else total,), np.dtype(np.int64), pinned)
        if self._labels is not None:
            self._labels.expect(runs)
        self._frames.read_into(frames.numpy(), runs)
        self._check(_FRAMES, units, starts, frames.numpy())
        if self._labels is not None:
            narrow = self._labels.read(runs)
            self._check(_LABELS, units, starts, narrow)
            labels.numpy()[:] = narrow
        bounds = (torch.from_numpy(np.repeat(x, lengths)) for x in (starts, ends))
        return FrameBatch(frames, labels, *(x.pin_memory() if pinned else x for x in bounds))

    def check(self) -> Iterator[int]:
        """Check every byte against its checksum; yields the frames of each stretch when it is done.

        Raises:
            InputError: a file is damaged.
        """
        _ = self.utterances, self.speakers
        for units in self._stretches():
            self.read(units)
            yield int(self.offsets[units[-1] + 1] - self.offsets[units[0]])

    def digests(self) -> dict[str, str]:
        """Return what identifies the store: digests of its description, and of frames and labels."""
        found = {"store.json": file_digest(self.folder / "store.json")}
        if self._sums is not None:
            for file, column in zip(("frames.bin", "labels.bin"), self._sums.T, strict=True):
                found[file] = digest(column.tolist())
        return found

    @property
    def has_checksums(self) -> bool:
        """Whether the store carries checksums at all."""
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
        """Neighbouring utterances, about `_STRETCH` frames together."""
        cuts = np.searchsorted(self.offsets, np.arange(0, self.num_frames, _STRETCH))
        edges = np.unique(np.append(cuts, self.num_units)).tolist()
        return (np.arange(first, last) for first, last in pairwise(edges))

    def label_counts(self) -> np.ndarray:
        """Return frames of each pdf [pdfs], int64.

        Raises:
            InputError: the store has no labels, one that is no pdf, or damaged ones.
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
    """Join neighbouring utterances into one read each."""
    if not len(firsts):
        return []
    breaks = np.flatnonzero(firsts[1:] != lasts[:-1]) + 1
    starts = firsts[np.concatenate([[0], breaks])]
    stops = lasts[np.concatenate([breaks - 1, [len(lasts) - 1]])]
    return list(zip(starts.tolist(), stops.tolist(), strict=True))


def _room(shape: tuple[int, ...], dtype: np.dtype[Any], pinned: bool) -> Tensor:
    held = torch.from_numpy(np.empty((0, *shape[1:]) if pinned else shape, dtype))
    return torch.empty(shape, dtype=held.dtype, pin_memory=True) if pinned else held
