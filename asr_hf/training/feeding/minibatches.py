"""Minibatches of frames shuffled across utterances, or of whole utterances."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from asr_hf.data.frame_batch import FrameBatch
from asr_hf.training.feeding.frame_source import FrameSource
from asr_hf.training.feeding.units import UnitBatch, Units


class ShuffledFrames:
    """Every frame of a store once an epoch, in an order fixed by (seed, epoch).

    A store of up to `block_frames` frames is gathered once, stays on the device and is shuffled
    as a whole. A larger one is gone through in blocks of whole utterances drawn at random, each
    gathered, shuffled and let go, so that memory does not grow with the corpus.

    Args:
        source: brings the frames to the device.
        block_frames: bound on the number of frames held; a longer utterance is a block by itself.
    """

    def __init__(self, source: FrameSource, block_frames: int) -> None:
        self._source, self._store, self._block_frames = source, source.store, block_frames

    @property
    def bytes(self) -> int:
        """Bytes held of an epoch: a block, another one read ahead, and their order.

        The features of a whole store that is resident are the source's own.
        """
        held = min(self._store.num_frames, self._block_frames)
        whole = held == self._store.num_frames
        blocks = 2 if self._source.prefetch and not whole else 1
        features = 0 if self._source.resident and whole else self._store.frame_bytes
        return held * (blocks * (features + 3 * 8) + 2 * 8)

    def count(self, batch_frames: int) -> int:
        """Return the number of minibatches of an epoch: ceil(frames / batch_frames)."""
        return -(-self._store.num_frames // batch_frames)

    def epoch(self, seed: int, epoch: int, batch_frames: int) -> Iterator[UnitBatch]:
        """Go through the minibatches of an epoch.

        A store that is held whole gives minibatches of `batch_frames`, but for the last; blocks
        are cut into equal parts as near to that as can be.

        Args:
            seed: seed of the order.
            epoch: number of the epoch; each has another order.
            batch_frames: number of frames of a minibatch.

        Yields:
            Minibatches, with frames of different utterances side by side.
        """
        rng = np.random.default_rng([seed, epoch])
        if self._store.num_frames <= self._block_frames:
            everything = np.arange(self._store.num_units)
            whole = self._source.whole
            for index in torch.split(self._shuffled(rng, whole), batch_frames):
                yield _loose(whole, index, everything)
            return
        groups, parts = self._blocks(rng, batch_frames)
        batches = self._source.batches(groups)
        for place, count in enumerate(parts):
            batch = batches[place]
            for index in self._shuffled(rng, batch).tensor_split(count):
                yield _loose(batch, index, groups[place])
            # Before the next one takes its memory.
            del batch, index

    def _blocks(
        self, rng: np.random.Generator, batch_frames: int
    ) -> tuple[list[np.ndarray], list[int]]:
        """Return the utterances of each block, and its number of minibatches."""
        lengths = np.diff(self._store.offsets)
        # So that no block, however its utterances fall, is smaller than a minibatch.
        block = max(self._block_frames, 2 * batch_frames + int(lengths.max()))
        units = rng.permutation(self._store.num_units)
        ends = np.cumsum(lengths[units])
        total, done, first = int(ends[-1]), 0, 0
        groups, parts = [], []
        while first < len(units):
            before = int(ends[first - 1]) if first else 0
            last = int(np.searchsorted(ends, before + block, side="right"))
            # Numbered from the epoch's start, so that the count does not hang on the blocks.
            end = int(ends[last - 1])
            upto = end // batch_frames if end < total else -(-total // batch_frames)
            groups.append(units[first:last])
            parts.append(upto - done)
            done, first = upto, last
        return groups, parts

    def _shuffled(self, rng: np.random.Generator, batch: FrameBatch) -> Tensor:
        return torch.from_numpy(rng.permutation(len(batch.labels))).to(self._source.device)


def shuffled(
    units: Units, source: FrameSource, block_frames: int, whole_utterances: bool
) -> ShuffledFrames | ShuffledUtterances:
    """Make what minibatches are drawn from: utterances, or frames (see `ShuffledFrames`)."""
    return ShuffledUtterances(units) if whole_utterances else ShuffledFrames(source, block_frames)


def _loose(batch: FrameBatch, index: Tensor, utterances: np.ndarray) -> UnitBatch:
    """Make a batch of frames that no longer stand utterance by utterance."""
    return UnitBatch(batch, index, np.array([len(index)]), utterances)


class ShuffledUtterances:
    """Every utterance once an epoch, in an order fixed by (seed, epoch).

    Args:
        units: whole utterances as units.
    """

    # Nothing is held between minibatches.
    bytes = 0

    def __init__(self, units: Units) -> None:
        self._units = units

    def count(self, batch_frames: int) -> int:
        """Return the number of minibatches of an epoch."""
        return -(-len(self._units.frame_counts) // self._together(batch_frames))

    def epoch(self, seed: int, epoch: int, batch_frames: int) -> Iterator[UnitBatch]:
        """Go through the minibatches: utterances of `batch_frames` frames on average, or one."""
        order = np.random.default_rng([seed, epoch]).permutation(len(self._units.frame_counts))
        together = self._together(batch_frames)
        groups = [order[first : first + together] for first in range(0, len(order), together)]
        yield from self._units.groups(groups)

    def _together(self, batch_frames: int) -> int:
        return max(1, round(batch_frames / float(self._units.frame_counts.mean())))
