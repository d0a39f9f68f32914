"""Chooses which of a CG run's pairs (p, Gp) are kept."""

from __future__ import annotations

import math
from enum import StrEnum

import torch
from torch import Tensor

from asr_hf.curvature.space import UNSHARDED, Space


class Keep(StrEnum):
    """Which pairs of a run stay when there are more than fit."""

    SPREAD = "spread"
    FIRST = "first"
    LAST = "last"


class PairStore:
    """At most `size` pairs, each scaled so that ‖s‖ = 1 (BFGS updates do not see the scale).

    Pairs are rows of one matrix, S above Y, so that S r and Y r are one product.

    Args:
        size: bound m on the number of pairs kept.
        keep: SPREAD keeps pairs evenly over the run: when full, every second is dropped and the
            stride doubled (Morales & Nocedal 2000, section 2). FIRST keeps the first, LAST the
            last.
        curvature_floor: bound on s'y / ‖s‖‖y‖, below which a pair is too noisy and is skipped.
    """

    def __init__(self, size: int, keep: Keep, curvature_floor: float = 1e-8) -> None:
        self.size, self.keep, self.curvature_floor = size, keep, curvature_floor
        self.count = self.skipped = 0
        self._stride, self._seen = 1, 0
        self._rows: Tensor | None = None
        self._order: list[int] = []

    def add(self, direction: Tensor, product: Tensor, space: Space = UNSHARDED) -> None:
        """Offer p [n] and G p [n], or this process's parts of them; copied when kept."""
        seen, self._seen = self._seen, self._seen + 1
        if self.keep is Keep.SPREAD and seen % self._stride:
            return
        if self.keep is Keep.FIRST and self.count == self.size:
            return
        ss, sy, yy = space.dots((direction, direction), (direction, product), (product, product))
        if not sy > self.curvature_floor * math.sqrt(ss * yy):
            self.skipped += 1
            return
        slot = self._slot(seen)
        if slot is None:
            return
        if self._rows is None:
            self._rows = direction.new_empty(2 * self.size, direction.numel())
        scale = 1.0 / math.sqrt(ss)
        torch.mul(direction, scale, out=self._rows[slot])
        torch.mul(product, scale, out=self._rows[self.size + slot])
        self._order.append(slot)
        self.count = len(self._order)

    def _slot(self, seen: int) -> int | None:
        """The row that pair number `seen` goes to, or None when it is not kept after all."""
        if self.count == self.size:
            if self.keep is Keep.LAST:
                return self._order.pop(0)
            self._order = self._order[::2]
            self.count = len(self._order)
            self._stride *= 2
            if seen % self._stride:
                return None
        return next(i for i in range(self.size) if i not in self._order)

    def take(self, spare: Tensor | None = None) -> tuple[Tensor, int]:
        """Hand over the pairs and start again.

        Args:
            spare: a buffer handed over before, to be used for the pairs to come.

        Returns:
            A buffer [2 size, n] whose first rows are the pairs, oldest first, S [count, n] above
            Y [count, n]; and their count.
        """
        assert self._rows is not None
        buffer, count = self._rows, self.count
        _bring_to_front(buffer, self._order + [self.size + slot for slot in self._order])
        self._rows = spare
        self.count = self._seen = 0
        self._stride, self._order = 1, []
        return buffer, count


def _bring_to_front(rows: Tensor, numbers: list[int]) -> None:
    """Move the rows of these numbers to the front, in that order, in place."""
    place = list(range(len(rows)))
    holds = list(range(len(rows)))
    for target, row in enumerate(numbers):
        at = place[row]
        if at == target:
            continue
        displaced = holds[target]
        moved = rows[at].clone()
        rows[at] = rows[target]
        rows[target] = moved
        holds[at], holds[target] = displaced, row
        place[displaced], place[row] = at, target
