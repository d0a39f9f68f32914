"""The units that samples are drawn in: whole utterances, or every k-th frame of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from asr_hf.data.frame_batch import FrameBatch
from asr_hf.runtime.errors import InputError
from asr_hf.training.feeding.frame_source import Batches, FrameSource


@dataclass(frozen=True)
class UnitBatch:
    """Frames of some units.

    Args:
        batch: the utterances that the units are parts of.
        index: numbers of the units' frames in `batch` [F], unit by unit; None for all.
        lengths: number of frames of each unit [U], int64.
        utterances: numbers of the store's utterances in `batch`, in its order.
        phases: number of each utterance's first frame that is used [utterances], where units are
            of every k-th frame; None for 0.
    """

    batch: FrameBatch
    index: Tensor | None
    lengths: np.ndarray
    utterances: np.ndarray
    phases: np.ndarray | None = None

    @property
    def labels(self) -> Tensor:
        """Labels [F] of frames that have some."""
        return self.batch.labels if self.index is None else self.batch.labels[self.index]


class Units:
    """Cuts a store into units that samples are drawn in.

    Neighbouring frames say much the same, so that a sample of whole utterances tells less than
    its size. With a stride of k, utterance u gives the units k u ... k u + k - 1; unit k u + p
    holds its frames p, p + k, p + 2k, ... Each frame is in one unit.

    Args:
        source: brings utterances to the device.
        stride: stride k; 1 makes every utterance a unit.
        utterances: numbers of the store's utterances that are used, rising; None for all.
        every: with a stride of 1, how many frames lie from one frame of a unit to the next.
        phases: how many of the `every` first frames a unit begins at; the frames between are in no
            unit if it is less. Utterance u gives the units phases u ... phases (u + 1) - 1.

    Attributes:
        frame_counts: number of frames of each unit [U], int64; 0 for some of short utterances.

    Raises:
        InputError: the stride is less than 1.
    """

    def __init__(
        self,
        source: FrameSource,
        stride: int = 1,
        utterances: np.ndarray | None = None,
        *,
        every: int = 1,
        phases: int = 1,
    ) -> None:
        if stride < 1:
            raise InputError(f"frame_stride={stride}", expected="1 or more")
        self._source, self._stride, self._every = source, stride, every * stride
        # Utterance u gives the units k u ... k u + k - 1, which begin at its first k frames.
        self._beginnings = stride * phases
        # Frames far apart are then taken from where they lie, and the utterances not copied.
        self._whole = source.whole if stride > 1 and source.resident else None
        everything = np.arange(source.store.num_units)
        self._utterances = everything if utterances is None else utterances
        lengths = np.diff(source.store.offsets)[self._utterances]
        first = np.arange(self._beginnings)
        self.frame_counts: np.ndarray = np.maximum(
            0, (lengths[:, None] - first + self._every - 1) // self._every
        ).reshape(-1)

    def frame_numbers(self, units: np.ndarray) -> np.ndarray:
        """Return numbers that tell the frames of `units` [F] from all others, unit by unit."""
        lengths = self.frame_counts[units]
        firsts = (np.cumsum(self.frame_counts) - self.frame_counts)[units]
        before = np.cumsum(lengths) - lengths
        numbers: np.ndarray = np.repeat(firsts - before, lengths) + np.arange(int(lengths.sum()))
        return numbers

    def batches(self, units: np.ndarray, max_frames: int) -> UnitBatches:
        """Return units in batches of at most `max_frames` frames, or of one unit."""
        bounds = chunk_bounds(self.frame_counts[units], max_frames)
        return self.groups([units[first:last] for first, last in bounds])

    def one_by_one(self, units: np.ndarray) -> UnitBatches:
        """Return every unit by itself; units without frames are left out."""
        return self.groups(list(units[self.frame_counts[units] > 0][:, None]))

    def groups(self, groups: list[np.ndarray]) -> UnitBatches:
        """Return one batch for each group of units."""
        lengths = [self.frame_counts[group] for group in groups]
        if self._stride == 1:
            parted = [self._parted(group) for group in groups]
            utterances = [self._utterances[places] for places, _ in parted]
            phases = [phase for _, phase in parted]
            used = [self._emitted(*x) for x in zip(utterances, phases, lengths, strict=True)]
            batches = self._source.batches(utterances)
            return UnitBatches(batches, utterances, lengths, used, phases)
        if self._whole is not None:
            everything = np.arange(self._source.store.num_units)
            return UnitBatches(
                [self._whole] * len(groups),
                [everything] * len(groups),
                lengths,
                [self._rows(*x) for x in zip(groups, lengths, strict=True)],
            )
        whole = [np.unique(self._parted(group)[0]) for group in groups]
        indices = [self._index(*x) for x in zip(groups, whole, lengths, strict=True)]
        utterances = [self._utterances[places] for places in whole]
        return UnitBatches(self._source.batches(utterances), utterances, lengths, indices)

    def _parted(self, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of the units' utterances, and the units' first frames in them."""
        return np.divmod(group, self._beginnings)

    def _emitted(
        self, utterances: np.ndarray, phases: np.ndarray, lengths: np.ndarray
    ) -> Tensor | None:
        """Return where the frames of whole `utterances` that are used [F] lie in their batch."""
        if self._every == 1:
            return None
        offsets = self._source.store.offsets
        sizes = offsets[utterances + 1] - offsets[utterances]
        return self._steps(np.cumsum(sizes) - sizes + phases, lengths)

    def _index(self, group: np.ndarray, whole: np.ndarray, lengths: np.ndarray) -> Tensor:
        """Return where the frames of `group` [F] lie in a batch of the utterances at `whole`."""
        offsets, utterances = self._source.store.offsets, self._utterances[whole]
        sizes = offsets[utterances + 1] - offsets[utterances]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        place, phase = self._parted(group)
        return self._steps(starts[np.searchsorted(whole, place)] + phase, lengths)

    def _rows(self, group: np.ndarray, lengths: np.ndarray) -> Tensor:
        """Return where the frames of `group` [F] lie in the whole store."""
        place, phase = self._parted(group)
        return self._steps(self._source.store.offsets[self._utterances[place]] + phase, lengths)

    def _steps(self, first: np.ndarray, lengths: np.ndarray) -> Tensor:
        """Return the numbers [F] of every k-th frame, given the `first` of each unit [U]."""
        before = np.cumsum(lengths) - lengths
        steps = np.arange(int(lengths.sum())) - np.repeat(before, lengths)
        return torch.from_numpy(np.repeat(first, lengths) + self._every * steps)


class UnitBatches:
    """Batches of units, made when they are taken (see `Batches`).

    Args:
        batches: the utterances of each batch.
        utterances: numbers of each batch's utterances in the store.
        lengths: number of frames of each batch's units.
        indices: numbers of each batch's frames that are used; None for all.
        phases: see `UnitBatch`, of each batch; None for 0.

    Attributes:
        frame_counts: number of frames of each batch.
    """

    def __init__(
        self,
        batches: Batches | Sequence[FrameBatch],
        utterances: list[np.ndarray],
        lengths: list[np.ndarray],
        indices: Sequence[Tensor | None],
        phases: Sequence[np.ndarray] | None = None,
    ) -> None:
        self._batches, self._utterances, self._phases = batches, utterances, phases
        self._lengths, self._indices = lengths, indices
        self.frame_counts = [int(x.sum()) for x in lengths]

    def __iter__(self) -> Iterator[UnitBatch]:
        return (self[place] for place in range(len(self.frame_counts)))

    def __getitem__(self, place: int) -> UnitBatch:
        batch, index = self._batches[place], self._indices[place]
        if index is not None:
            index = index.to(batch.features.device, non_blocking=True)
        phases = None if self._phases is None else self._phases[place]
        return UnitBatch(batch, index, self._lengths[place], self._utterances[place], phases)


def chunk_bounds(lengths: np.ndarray, max_frames: int) -> Iterator[tuple[int, int]]:
    """Cut a row of units so that each part has at most `max_frames` frames, or is one unit.

    Args:
        lengths: number of frames of each unit [U].
        max_frames: bound on the number of frames of a part.

    Yields:
        The first unit of a part, and the one behind its last.
    """
    first, held = 0, 0
    for place, length in enumerate(lengths.tolist()):
        if place > first and held + length > max_frames:
            yield first, place
            first, held = place, 0
        held += length
    if first < len(lengths):
        yield first, len(lengths)
