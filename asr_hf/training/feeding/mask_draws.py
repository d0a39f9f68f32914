"""Gives batches of training frames the random numbers that dropout is drawn by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from asr_hf.data.frame_draws import FrameDraws, key_of
from asr_hf.data.store import FrameBatch, FrameStore
from asr_hf.training.feeding.units import UnitBatch

# What keeps the keys of iterations apart from those of minibatches.
_ITERATION, _MINIBATCH = 0, 1


class MaskDraws:
    """Draws by iteration and frame, or by minibatch.

    Within an iteration a frame of the store has one mask, in whatever unit, chunk or process, so
    that all of its passes see one function of θ. A minibatch goes through the network once; there
    the places of its frames in the batch do for numbers.

    Args:
        store: the training data.
        seed: seed of all draws.
        wanted: whether the network drops anything; batches stay as they are where it does not.
    """

    def __init__(self, store: FrameStore, seed: int, wanted: bool) -> None:
        self._store, self._seed, self._wanted = store, seed, wanted
        self.begin_iteration(0)

    def begin_iteration(self, iteration: int) -> None:
        """Draw by another iteration from now on."""
        self._key = key_of(self._seed, _ITERATION, iteration)

    def of_units(self, unit: UnitBatch) -> FrameBatch:
        """Return a batch of the store's units with the draws of the iteration."""
        if not self._wanted:
            return unit.batch
        offsets = self._store.offsets
        if np.array_equal(unit.utterances, np.arange(self._store.num_units)):
            return replace(unit.batch, draws=FrameDraws(self._key))
        first = offsets[unit.utterances]
        lengths = offsets[unit.utterances + 1] - first
        ends = np.cumsum(lengths)
        numbers = np.arange(int(lengths.sum())) + np.repeat(first - (ends - lengths), lengths)
        placed = torch.from_numpy(numbers).to(unit.batch.features.device, non_blocking=True)
        return replace(unit.batch, draws=FrameDraws(self._key, placed))

    def of_minibatch(self, unit: UnitBatch, *number: int) -> FrameBatch:
        """Return a minibatch with draws of its own, which its number tells from others."""
        if not self._wanted:
            return unit.batch
        return replace(unit.batch, draws=FrameDraws(key_of(self._seed, _MINIBATCH, *number)))
