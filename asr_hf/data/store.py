"""The packed frame store: one file of unspliced frames, one of labels, an utterance index.

Opening maps the files without reading them, so that hundreds of hours open in milliseconds.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json

FORMAT = "asr-hf-store-1"
_REMEDY = "make the store again with: asr-hf align"


@dataclass(frozen=True)
class FrameBatch:
    """The frames of some utterances, side by side.

    Args:
        frames: unspliced features [F, D] in the store's dtype.
        labels: pdf of each frame [F], int64; empty when the store has none.
        starts: where each frame's utterance begins in the batch [F], int64.
        ends: where it ends (exclusive) [F], int64.
    """

    frames: Tensor
    labels: Tensor
    starts: Tensor
    ends: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Frames, labels, starts and ends."""
        return self.frames, self.labels, self.starts, self.ends

    def to(self, device: torch.device) -> FrameBatch:
        """The batch on `device`; a copy from page-locked memory goes on beside other work."""
        return FrameBatch(*(x.to(device, non_blocking=True) for x in self.tensors))


class FrameStore:
    """A store opened for reading; see `open`."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder, self.about = folder, about
        self.dim = int(about["dim"])
        self.num_pdfs = int(about["num_pdfs"])
        self.dtype = np.dtype(about["dtype"])
        self.frame_bytes = self.dim * int(self.dtype.itemsize)
        self.offsets = _load_offsets(folder / "offsets.npy", int(about["utterances"]))
        self.num_frames, self.num_units = int(self.offsets[-1]), len(self.offsets) - 1
        self._frames = self._map("frames.bin", self.dtype, (self.num_frames, self.dim))
        self._labels = (
            self._map("labels.bin", np.dtype(np.int32), (self.num_frames,))
            if about["labelled"]
            else None
        )

    @classmethod
    def open(cls, folder: Path | str) -> FrameStore:
        """Map the store in `folder`.

        Raises:
            InputError: it is missing, truncated or of another format.
        """
        folder = Path(folder)
        if not (folder / "store.json").is_file():
            raise InputError(
                f"{folder}: no frame store", expected="store.json and frames.bin", remedy=_REMEDY
            )
        about = read_json(folder / "store.json")
        if about.get("format") != FORMAT:
            raise InputError(
                f"{folder}/store.json: format {about.get('format')!r}",
                expected=FORMAT,
                remedy=_REMEDY,
            )
        return cls(folder, about)

    def _map(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> _Mapped:
        path = self.folder / name
        expected = int(np.prod(shape)) * dtype.itemsize
        found = path.stat().st_size if path.exists() else 0
        if found != expected:
            raise InputError(
                f"{path}: {found} bytes, truncated or of another store",
                expected=f"{expected} bytes",
                remedy=_REMEDY,
            )
        return _Mapped(path, dtype, shape)

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
        try:
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}", remedy=_REMEDY) from error
        if len(lines) != self.num_units:
            raise InputError(
                f"{path}: {len(lines)} lines", expected=str(self.num_units), remedy=_REMEDY
            )
        return lines

    def frames_of(self, unit: int) -> int:
        """Frames of utterance number `unit`."""
        return int(self.offsets[unit + 1] - self.offsets[unit])

    def gather(self, units: np.ndarray, device: torch.device) -> FrameBatch:
        """Bring utterances to `device`, side by side in the order given."""
        return self.read(units, pinned=device.type == "cuda").to(device)

    def read(self, units: np.ndarray, pinned: bool = False) -> FrameBatch:
        """Copy utterances from the memory map, to page-locked memory if `pinned`."""
        units = np.asarray(units, dtype=np.int64)
        firsts, lasts = self.offsets[units], self.offsets[units + 1]
        lengths = lasts - firsts
        runs = _runs(firsts, lasts)
        ends = np.cumsum(lengths)
        bounds = (torch.from_numpy(np.repeat(x, lengths)) for x in (ends - lengths, ends))
        for mapped in (self._frames, self._labels):
            if mapped is not None:
                mapped.expect(runs)
        labels = np.zeros(0, np.int32) if self._labels is None else self._labels.array
        return FrameBatch(
            _collect(self._frames.array, runs, self.dtype, pinned),
            _collect(labels, runs, np.dtype(np.int64), pinned),
            *(x.pin_memory() if pinned else x for x in bounds),
        )

    def label_counts(self) -> np.ndarray:
        """Frames of each pdf [pdfs], int64.

        Raises:
            InputError: the store has no labels, or one that is no pdf.
        """
        if self._labels is None:
            raise InputError(f"{self.folder}: this store has no labels", remedy=_REMEDY)
        counts = np.zeros(self.num_pdfs, dtype=np.int64)
        for start in range(0, self.num_frames, 1 << 22):
            piece = self._labels.array[start : start + (1 << 22)]
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


class _Mapped:
    """An array in a file of its own, mapped for reading."""

    def __init__(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.array = np.frombuffer(self._map, dtype).reshape(shape)
        self._row = self.array[:1].nbytes

    def expect(self, runs: list[tuple[int, int]]) -> None:
        """Let the system fetch rows from `start` to `stop` of each run, all of them at once.

        Waiting for one page after the other took a cold disk 25 times as long.
        """
        for start, stop in runs:
            first = start * self._row // mmap.PAGESIZE * mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, first, stop * self._row - first)


def _load_offsets(path: Path, utterances: int) -> np.ndarray:
    try:
        offsets: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read: {error}", remedy=_REMEDY) from error
    if offsets.shape != (utterances + 1,) or offsets[0] or (np.diff(offsets) <= 0).any():
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


def _collect(
    source: np.ndarray, runs: list[tuple[int, int]], dtype: np.dtype[Any], pinned: bool
) -> Tensor:
    pieces = [source[:0], *(source[start:stop] for start, stop in runs)]
    shape = (sum(map(len, pieces)), *source.shape[1:])
    held = torch.from_numpy(np.empty((0 if pinned else shape[0], *shape[1:]), dtype))
    if pinned:
        held = torch.empty(shape, dtype=held.dtype, pin_memory=True)
    np.concatenate(pieces, out=held.numpy())
    return held
