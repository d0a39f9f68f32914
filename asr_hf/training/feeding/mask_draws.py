"""Gives batches of training frames the random numbers of dropout and augmentation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from asr_hf.data.frame_batch import Augmentation, FrameBatch, Hiding
from asr_hf.data.frame_draws import FrameDraws, key_of
from asr_hf.data.store import FrameStore
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
        dropout: whether the network drops anything.
        augmentation: chooses the features that the network does not see; None shows them all.
            Without dropout batches then stay as they are.
        fill: what stands in the place of a hidden feature [D].
    """

    def __init__(
        self,
        store: FrameStore,
        seed: int,
        dropout: bool,
        augmentation: Augmentation | None,
        fill: Tensor,
    ) -> None:
        self._store, self._seed = store, seed
        self._augmentation, self._fill = augmentation, fill
        self._wanted = dropout or augmentation is not None
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
            return self._drawn(unit.batch, FrameDraws(self._key))
        first = offsets[unit.utterances]
        lengths = offsets[unit.utterances + 1] - first
        ends = np.cumsum(lengths)
        numbers = np.arange(int(lengths.sum())) + np.repeat(first - (ends - lengths), lengths)
        placed = torch.from_numpy(numbers).to(unit.batch.features.device, non_blocking=True)
        return self._drawn(unit.batch, FrameDraws(self._key, placed))

    def of_minibatch(self, unit: UnitBatch, *number: int) -> FrameBatch:
        """Return a minibatch with draws of its own, which its number tells from others."""
        if not self._wanted:
            return unit.batch
        return self._drawn(unit.batch, FrameDraws(key_of(self._seed, _MINIBATCH, *number)))

    def _drawn(self, batch: FrameBatch, draws: FrameDraws) -> FrameBatch:
        hiding = None
        if self._augmentation is not None:
            hiding = Hiding(self._augmentation, draws, self._fill)
        return replace(batch, draws=draws, hiding=hiding)
