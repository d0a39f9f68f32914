"""Cuts a chunk so that the sums of the denominator that are held at once have a bound."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from torch import Tensor

from asr_hf.criteria.denominator_paths import DenominatorPaths
from asr_hf.criteria.denominator_recursion import DenominatorRecursion

# With fewer utterances side by side, a frame takes longer than computing its sums a second time.
_ABREAST = 16


class PathSums(Protocol):
    """The distribution over the paths of some utterances (see `DenominatorPaths`)."""

    @property
    def totals(self) -> Tensor:
        """Log of the weight of all paths of each utterance [U], float64."""
        ...

    @property
    def occupancies(self) -> Tensor:
        """Expected number of times that a frame takes a pdf [F, C]."""
        ...

    def tangent(self, direction: Tensor) -> Tensor:
        """Return the change of the occupancies along a direction of the outputs [F, C]."""
        ...


class Group(NamedTuple):
    """Utterances of a chunk that stand side by side.

    Args:
        utterances: which of the chunk.
        frames: their frames among those of the chunk.
        block: number of frames of a block (see `DenominatorPaths`); None for one block.
    """

    utterances: slice
    frames: slice
    block: int | None


def frames_held(graph: DenominatorRecursion, sums_bytes: int) -> int:
    """Return how many frames, of all utterances together, have forward sums in so many bytes."""
    return sums_bytes // (len(graph.pdf) * graph.initial.element_size())


def groups_of(lengths: list[int], graph: DenominatorRecursion, most: int) -> Iterator[Group]:
    """Put as many utterances side by side as have `most` frames together.

    There are always `_ABREAST` of them, if the chunk has so many. Where these have more frames,
    they go in blocks. A block has `most` frames, or more if memory would only grow below that: the
    sums at the borders of blocks are held, too.

    Args:
        lengths: number of frames of each utterance.
        graph: the graph.
        most: bound on the number of frames whose sums are held.

    Yields:
        The groups, in the order of the utterances.
    """
    start, first = 0, 0
    while start < len(lengths):
        stop, frames = start, 0
        while stop < len(lengths) and (stop - start < _ABREAST or frames + lengths[stop] <= most):
            frames += lengths[stop]
            stop += 1
        block, longest = None, max(lengths[start:stop])
        if frames > most:
            shortest = math.isqrt(longest * len(graph.stay) // len(graph.pdf))
            block = max(1, shortest, most // (stop - start))
        yield Group(slice(start, stop), slice(first, first + frames), block)
        start, first = stop, first + frames


def paths_in_groups(
    graph: DenominatorRecursion,
    logits: Tensor,
    lengths: Tensor,
    leak: float,
    sums_bytes: int,
    keep: bool = False,
) -> Iterator[tuple[Group, DenominatorPaths]]:
    """Yield the distribution over the denominator's paths, some utterances at a time.

    Args:
        graph: the graph as matrices.
        logits: outputs [F, C].
        lengths: number of frames of each utterance [U].
        leak: η.
        sums_bytes: bound on the bytes of forward sums that are held at once.
        keep: whether tangents will be computed; sums that need no blocks are then kept.

    Yields:
        Each group with its paths.
    """
    for group in groups_of(lengths.tolist(), graph, frames_held(graph, sums_bytes)):
        of_group = (logits[group.frames], lengths[group.utterances])
        yield group, DenominatorPaths(graph, *of_group, leak, keep, group.block)
