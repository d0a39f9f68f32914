"""Adds up the loss of a sample that goes through the network in chunks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from asr_hf.criteria.base import FrameLoss
from asr_hf.hf.objective import LossSum


class LossSums:
    """Adds up a criterion's results over chunks, on the device until the end.

    Args:
        device: device of the results.

    Attributes:
        num_frames: number of frames added so far.
    """

    def __init__(self, device: torch.device) -> None:
        self.num_frames = 0
        self._total = torch.zeros((), dtype=torch.float64, device=device)
        self._errors = torch.zeros((), dtype=torch.int64, device=device)
        self._per_unit: list[Tensor] = []

    def add(self, loss: FrameLoss, lengths: Tensor) -> None:
        """Add the loss of a chunk with units of `lengths` frames [U]."""
        self._total += loss.total
        self._errors += loss.errors
        self.num_frames += len(loss.per_frame)
        lengths = lengths.to(loss.per_frame.device)
        self._per_unit.append(
            torch.segment_reduce(loss.per_frame.double(), "sum", lengths=lengths, unsafe=True)
        )

    def result(self, order: np.ndarray) -> LossSum:
        """Return the sums.

        Args:
            order: places of the units in the sample [U], in the order they were added in.
        """
        added = torch.cat(self._per_unit) if self._per_unit else torch.zeros(0)
        per_unit = torch.empty_like(added)
        per_unit[torch.from_numpy(order)] = added
        return LossSum(float(self._total), self.num_frames, int(self._errors), per_unit)
