"""What samples are drawn in: whole utterances, or every k-th frame of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from asr_hf.data.store import FrameBatch
from asr_hf.runtime.errors import InputError
from asr_hf.training.frame_source import Batches, FrameSource


@dataclass(frozen=True)
class UnitBatch:
    """Frames of some units.

    Args:
        batch: the utterances that they are of.
        index: which frames of it [F], unit by unit; None for all.
        lengths: frames of each unit [U], int64.
    """

    batch: FrameBatch
    index: Tensor | None
    lengths: np.ndarray

    @property
    def labels(self) -> Tensor:
        """Labels [F]."""
        return self.batch.labels if self.index is None else self.batch.labels[self.index]


class Units:
    """Cuts a store into units that samples are drawn in.

    Neighbouring frames say much the same, so that a sample of whole utterances tells less than
    its size. With a stride of k, utterance u gives the units k u ... k u + k - 1; unit k u + p
    holds its frames p, p + k, p + 2k, ... Each frame is in one unit.

    Args:
        source: brings utterances to the device.
        stride: k; 1 makes every utterance a unit.

    Raises:
        InputError: the stride is less than 1.
    """

    def __init__(self, source: FrameSource, stride: int = 1) -> None:
        if stride < 1:
            raise InputError(f"frame_stride={stride}", expected="1 or more")
        self._source, self._stride = source, stride
        utterances = np.diff(source.store.offsets)
        phases = np.arange(stride)
        # Frames of each unit [units], int64; a short utterance has units without any.
        self.frames: np.ndarray = np.maximum(
            0, (utterances[:, None] - phases + stride - 1) // stride
        ).reshape(-1)

    def batches(self, units: np.ndarray, most: int) -> UnitBatches:
        """Units in batches of at most `most` frames, or of one unit."""
        lengths = self.frames[units]
        bounds = list(chunk_bounds(lengths, most))
        groups = [units[first:last] for first, last in bounds]
        return self._batches(groups, [lengths[first:last] for first, last in bounds])

    def one_by_one(self, units: np.ndarray) -> UnitBatches:
        """Every unit by itself; those without frames are left out."""
        units = units[self.frames[units] > 0]
        return self._batches(list(units[:, None]), list(self.frames[units][:, None]))

    def _batches(self, groups: list[np.ndarray], lengths: list[np.ndarray]) -> UnitBatches:
        utterances = [np.unique(group // self._stride) for group in groups]
        batches = self._source.batches(utterances)
        if self._stride == 1:
            return UnitBatches(batches, lengths, [None] * len(groups))
        indices = [self._index(*x) for x in zip(groups, utterances, lengths, strict=True)]
        return UnitBatches(batches, lengths, indices)

    def _index(self, group: np.ndarray, utterances: np.ndarray, lengths: np.ndarray) -> Tensor:
        """Where the frames of `group` lie in a batch of `utterances`, side by side."""
        offsets = self._source.store.offsets
        sizes = offsets[utterances + 1] - offsets[utterances]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        utterance, phase = np.divmod(group, self._stride)
        first = starts[np.searchsorted(utterances, utterance)] + phase
        before = np.cumsum(lengths) - lengths
        steps = np.arange(int(lengths.sum())) - np.repeat(before, lengths)
        return torch.from_numpy(np.repeat(first, lengths) + self._stride * steps)


class UnitBatches:
    """Batches of units, made when they are taken (see `Batches`).

    Args:
        batches: the utterances of each.
        lengths: frames of the units of each.
        indices: which frames are wanted of each; None for all.
    """

    def __init__(
        self, batches: Batches, lengths: list[np.ndarray], indices: Sequence[Tensor | None]
    ) -> None:
        self._batches, self._lengths, self._indices = batches, lengths, indices
        self.frames = [int(x.sum()) for x in lengths]

    def __iter__(self) -> Iterator[UnitBatch]:
        return (self[place] for place in range(len(self.frames)))

    def __getitem__(self, place: int) -> UnitBatch:
        batch, index = self._batches[place], self._indices[place]
        if index is not None:
            index = index.to(batch.frames.device, non_blocking=True)
        return UnitBatch(batch, index, self._lengths[place])


def chunk_bounds(lengths: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Split runs of units so that each holds at most `most` frames, or one unit."""
    first, held = 0, 0
    for place, length in enumerate(lengths.tolist()):
        if place > first and held + length > most:
            yield first, place
            first, held = place, 0
        held += length
    if first < len(lengths):
        yield first, len(lengths)
