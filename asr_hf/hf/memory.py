"""The memory that an optimiser needs, stated before it starts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProblemSize:
    """What the memory of an optimiser depends on.

    Args:
        parameters: number n of parameters.
        itemsize: bytes of one parameter.
        layers: number of inputs and outputs of each affine layer.
        frames: number of training frames.
        shares: number of processes that divide the vectors of CG among them.
        others: names of the parameters that belong to no affine layer.
    """

    parameters: int
    itemsize: int
    layers: tuple[tuple[int, int], ...]
    frames: int
    shares: int = 1
    others: tuple[str, ...] = ()

    def shards(self, count: int) -> int:
        """Return the bytes of this process's parts of `count` vectors of CG."""
        return count * -(-self.parameters // self.shares) * self.itemsize

    def vectors(self, count: int) -> int:
        """Return the bytes of `count` vectors [n]."""
        return count * self.parameters * self.itemsize


@dataclass(frozen=True)
class MemoryNeed:
    """What an optimiser will allocate in its steps.

    Args:
        bytes: bytes of vectors and matrices that last, beside what it holds already.
        curvature_frames: bound on the frames of a curvature sample; 0 without one.
        gradient_frames: bound on the frames of one gradient pass; None where it goes by chunks.
    """

    bytes: int
    curvature_frames: int = 0
    gradient_frames: int | None = None
