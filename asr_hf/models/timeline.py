"""At which times a network over time has rows, and which frames these stand for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_hf.data.frame_batch import FrameBatch


@dataclass(frozen=True)
class Span:
    """Equally spaced times: start, start + step, ...

    Args:
        start: the first time.
        step: distance of two neighbours; 1 where there is one time.
        count: number of times.
    """

    start: int
    step: int
    count: int

    @property
    def times(self) -> range:
        """The times."""
        return range(self.start, self.start + self.step * self.count, self.step)

    def below(self, times: Sequence[int]) -> Span:
        """Return the shortest span with all rows that a layer sees.

        Args:
            times: times that it sees, relative to its own and rising.
        """
        gaps = [time - times[0] for time in times]
        # One time has no neighbour whose distance counts.
        step = math.gcd(*gaps, self.step if self.count > 1 else 0) or 1
        first, last = self.start + times[0], self.times[-1] + times[-1]
        return Span(first, step, (last - first) // step + 1)

    def places(self, below: Span, time: int) -> slice:
        """Return the places of a layer's rows among those below it.

        Args:
            below: times of the rows below.
            time: time of each row below relative to the layer's.
        """
        first = (self.start + time - below.start) // below.step
        step = max(1, self.step // below.step)
        return slice(first, first + (self.count - 1) * step + 1, step)


def beside(rows: Tensor, below: Span, above: Span, times: Sequence[int], windows: int) -> Tensor:
    """Put the rows that a layer sees side by side.

    Args:
        rows: rows of as many windows at the times of `below`, one time after the other
            [below.count * windows, C].
        below: times of the rows.
        above: times of the layer's rows.
        times: times that the layer sees, relative to its own.
        windows: number of windows.

    Returns:
        Rows [above.count * windows, len(times) * C].
    """
    width = rows.shape[1]
    blocks = rows.view(below.count, windows, width)
    pieces = [blocks[above.places(below, time)] for time in times]
    joined = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=2)
    return joined.reshape(above.count * windows, len(times) * width)


def frames_at(batch: FrameBatch, index: Tensor, times: Sequence[int]) -> Tensor:
    """Return the frames at some times relative to others, one time after the other.

    Edge frames of an utterance stand for the times before and after it.

    Args:
        batch: the frames with their utterance bounds.
        index: numbers of the others [K].
        times: the T times.

    Returns:
        Numbers of frames [T * K].
    """
    numbers = torch.tensor(times, device=index.device)[:, None] + index
    numbers = torch.minimum(torch.maximum(numbers, batch.starts[index]), batch.ends[index] - 1)
    return numbers.flatten()


def padded_utterances(
    batch: FrameBatch, left: int, right: int, step: int = 1
) -> tuple[Tensor, Tensor]:
    """Lay utterances one behind the other, each with its edge frames repeated.

    Args:
        batch: the frames with their utterance bounds.
        left: how many times the first frame of an utterance stands before it.
        right: how many times the last one stands after it, at least.
        step: each utterance takes a multiple of so many rows.

    Returns:
        The number of each row's frame [T]; and the place of each frame [F] among the rows number
        left, left + step, left + 2 step, ..., where it is one of these.
    """
    index = torch.arange(len(batch.starts), device=batch.starts.device)
    first = batch.starts == index
    starts, ends = batch.starts[first], batch.ends[first]
    lengths = ends - starts + (left + right)
    lengths = lengths + (-lengths) % step
    # The distance from a row's number to its frame's is the same all through an utterance.
    distance = starts - left - (lengths.cumsum(0) - lengths)
    rows = (index - left - distance[first.cumsum(0) - 1]) // step
    total = int(lengths.sum())
    bounds = torch.stack([distance, starts, ends - 1])
    distance, starts, last = bounds.repeat_interleave(lengths, dim=1, output_size=total)
    picked = torch.arange(total, device=index.device) + distance
    return torch.minimum(torch.maximum(picked, starts), last), rows
