"""Dropout whose masks follow from random numbers of frames (Srivastava et al. 2014)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor, nn

from asr_hf.runtime.errors import InputError

# A power of two.
_WINDOWS = 1 << 20


@dataclass(frozen=True)
class DrawnRows:
    """Rows that a network takes, and the random numbers behind the masks of its hidden layers.

    Args:
        rows: the rows [F, C].
        draws: random numbers of each hidden layer's rows [F], int64, from the input up.
    """

    rows: Tensor
    draws: tuple[Tensor, ...]


class Dropout(nn.Module):
    """Inverted dropout: a mask is 0 for a share of the units and 1 / (1 - share) for the others.

    The mask of a row is a window of one table of drawn entries, at a random place: 2^20 masks, in
    which each unit is dropped equally often, at the cost of a copy. Drawing every entry anew would
    cost more than the activation itself, and rows of a table of ready masks would give far fewer
    masks for the memory.

    Args:
        rate: share of the units that are dropped.
        widest: number of units of the widest layer.

    Raises:
        InputError: the rate is no share.
    """

    def __init__(self, rate: float, widest: int) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise InputError(f"model.dropout={rate}", expected="0 or more, and less than 1")
        self.rate = float(rate)
        # No buffer: model files have no use for it. Its end repeats its beginning.
        self._table = torch.zeros(0)
        if rate:
            order = torch.randperm(_WINDOWS, generator=Generator().manual_seed(0))
            kept = order >= round(rate * _WINDOWS)
            self._table = torch.cat([kept, kept[: widest - 1]]).float() / (1 - rate)

    def mask(self, draws: Tensor, units: int, like: Tensor) -> Tensor:
        """Return the factors of a layer's outputs.

        Args:
            draws: random number of each row [T], int64.
            units: number U of the layer's units.
            like: a tensor whose type the factors get.

        Returns:
            Factors [T, U].
        """
        windows = self._table.unfold(0, units, 1)
        return windows.index_select(0, torch.bitwise_and(draws, _WINDOWS - 1)).to(like.dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Take the table along where the network goes."""
        self._table = fn(self._table)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self
