"""The space of CG's vectors: whole in this process, or a part of each in every process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from asr_hf.curvature import vectors


class Space(ABC):
    """Vectors [n], of which this process holds all entries or a part [k].

    What works entry by entry works on parts as on whole vectors. Inner products need a sum over
    all processes, and θ, where the network is asked for values, must be whole.
    """

    @abstractmethod
    def shard(self, whole: Tensor) -> Tensor:
        """Return this process's part [..., k] of whole vectors [..., n]; all if undivided."""

    @abstractmethod
    def whole(self, shard: Tensor) -> Tensor:
        """Return the vector [n] that this part [k] belongs to; the part itself if undivided."""

    def rows(self, shards: Tensor) -> Tensor:
        """Return the whole vectors [r, n] of parts [r, k]; on the CPU where they are divided."""
        return shards

    def parts(self, places: Sequence[slice]) -> list[slice]:
        """Return where stretches of whole vectors lie in this process's part."""
        return list(places)

    @abstractmethod
    def all_reduce(self, values: Tensor) -> Tensor:
        """Replace a few float64 values by their sums over all processes."""

    def dots(self, *pairs: tuple[Tensor, Tensor]) -> list[float]:
        """Return a'b of each pair of vectors, in one message between the processes."""
        return self._added(vectors.dots(*pairs))

    def dot(self, a: Tensor, b: Tensor) -> float:
        """Return a'b."""
        return self.dots((a, b))[0]

    def norm(self, a: Tensor) -> float:
        """Return the Euclidean norm of a vector."""
        return float(self.dot(a, a) ** 0.5)

    def is_finite(self, a: Tensor) -> bool:
        """Say whether every entry of a vector is finite."""
        return self._added([0.0 if vectors.is_finite(a) else 1.0]) == [0.0]

    def _added(self, values: list[float]) -> list[float]:
        sums: list[float] = self.all_reduce(torch.tensor(values, dtype=torch.float64)).tolist()
        return sums


class Unsharded(Space):
    """Every process holds whole vectors."""

    def shard(self, whole: Tensor) -> Tensor:
        """See `Space`."""
        return whole

    def whole(self, shard: Tensor) -> Tensor:
        """See `Space`."""
        return shard

    def all_reduce(self, values: Tensor) -> Tensor:
        """See `Space`."""
        return values


UNSHARDED = Unsharded()
