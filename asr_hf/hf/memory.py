"""What an optimiser will need of memory, said before it starts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProblemSize:
    """What the memory of an optimiser depends on.

    Args:
        parameters: n.
        itemsize: bytes of one parameter.
        layers: inputs and outputs of each affine layer.
        others: names of the parameters that are not those of an affine layer.
        frames: training frames.
        shares: processes that divide the vectors of CG among them.
    """

    parameters: int
    itemsize: int
    layers: tuple[tuple[int, int], ...]
    frames: int
    shares: int = 1
    others: tuple[str, ...] = ()

    def shards(self, count: int) -> int:
        """Bytes of this process's parts of `count` vectors of CG."""
        return count * -(-self.parameters // self.shares) * self.itemsize

    def vectors(self, count: int) -> int:
        """Bytes of `count` vectors [n]."""
        return count * self.parameters * self.itemsize


@dataclass(frozen=True)
class MemoryNeed:
    """What an optimiser will allocate in its steps.

    Args:
        bytes: of vectors and matrices that last, beside what it holds already.
        curvature_frames: most frames of a curvature sample; 0 without one.
        gradient_frames: most frames of one gradient pass; None where it goes by chunks.
    """

    bytes: int
    curvature_frames: int = 0
    gradient_frames: int | None = None
