"""Minibatches of frames shuffled across utterances, from stores of any size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from asr_hf.data.store import FrameBatch, FrameStore


class ShuffledFrames:
    """Every frame of a store once an epoch, in an order fixed by (seed, epoch).

    A store of up to `block_frames` frames is gathered once, stays on the device and is shuffled
    as a whole. A larger one is gone through in blocks of whole utterances drawn at random, each
    gathered, shuffled and let go, so that memory does not grow with the corpus.

    Args:
        store: the frames.
        device: where they are wanted.
        block_frames: bound on the frames held; a longer utterance is a block of its own.
    """

    def __init__(self, store: FrameStore, device: torch.device, block_frames: int) -> None:
        self._store, self._device, self._block_frames = store, device, block_frames
        self._resident: FrameBatch | None = None

    @property
    def bytes(self) -> int:
        """What is held of an epoch: frames, and five numbers a frame."""
        held = min(self._store.num_frames, self._block_frames)
        return int(held * (self._store.dim * self._store.dtype.itemsize + 5 * 8))

    def epoch(
        self, seed: int, epoch: int, batch_frames: int
    ) -> Iterator[tuple[FrameBatch, Tensor]]:
        """Yield ceil(frames / batch_frames) minibatches.

        Each is a batch of utterances and the places in it of the frames that are meant. Those of
        a resident store hold `batch_frames`, but for the last; blocks are cut into equal parts as
        near to that as can be.
        """
        rng = np.random.default_rng([seed, epoch])
        if self._store.num_frames <= self._block_frames:
            if self._resident is None:
                self._resident = self._gather(np.arange(self._store.num_units))
            for index in torch.split(self._shuffled(rng, self._resident), batch_frames):
                yield self._resident, index
            return
        lengths = np.diff(self._store.offsets)
        # So that no block, however its utterances fall, is smaller than a minibatch.
        block = max(self._block_frames, 2 * batch_frames + int(lengths.max()))
        units = rng.permutation(self._store.num_units)
        ends = np.cumsum(lengths[units])
        total, done, first = int(ends[-1]), 0, 0
        while first < len(units):
            before = int(ends[first - 1]) if first else 0
            last = int(np.searchsorted(ends, before + block, side="right"))
            # Numbered from the epoch's start, so that the count does not hang on the blocks.
            end = int(ends[last - 1])
            upto = end // batch_frames if end < total else -(-total // batch_frames)
            batch = self._gather(units[first:last])
            for index in self._shuffled(rng, batch).tensor_split(upto - done):
                yield batch, index
            done, first = upto, last

    def _gather(self, units: np.ndarray) -> FrameBatch:
        return self._store.gather(units, self._device)

    def _shuffled(self, rng: np.random.Generator, batch: FrameBatch) -> Tensor:
        return torch.from_numpy(rng.permutation(len(batch.labels))).to(self._device)
