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


def has_every(batch: FrameBatch, index: Tensor, step: int) -> bool:
    """Say whether about every `step`-th frame of all utterances is at `index` [K], or more."""
    numbers = torch.arange(len(batch.starts), device=index.device)
    utterances = int((batch.starts == numbers).sum())
    return (len(index) + utterances) * step >= len(numbers)


def steps_of(
    batch: FrameBatch, index: Tensor | None, every: int
) -> tuple[int, Tensor | None] | None:
    """Say how whole utterances hold frames whose logits are computed.

    Args:
        batch: the frames with their utterance bounds.
        index: numbers of those frames [K]; None for all.
        every: k, where the model emits every k-th frame.

    Returns:
        The distance of two of an utterance's frames, and the number of its first one, less than
        that [U or more], with None for 0; None where the frames are too few to compute utterances.
    """
    if index is None:
        return 1, None
    if every == 1 or not has_every(batch, index, every):
        return None
    numbers = torch.arange(len(batch.starts), device=index.device)
    utterance = (batch.starts == numbers).cumsum(0)[index] - 1
    phase = (index - batch.starts[index]) % every
    first = phase.new_zeros(len(numbers)).scatter_(0, utterance, phase)
    return (every, first) if bool((first[utterance] == phase).all()) else (1, None)


def padded_utterances(
    batch: FrameBatch, left: int, right: int, step: int = 1, first: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Lay utterances one behind the other, each with its edge frames repeated.

    Args:
        batch: the frames with their utterance bounds.
        left: how many times the first frame of an utterance stands before it.
        right: how many times the last one stands after it, at least.
        step: each utterance takes a multiple of so many rows.
        first: number of each utterance's frame that stands in its row number `left` [U or more];
            None for 0.

    Returns:
        The number of each row's frame [T]; and the place of each frame [F] among the rows number
        left, left + step, left + 2 step, ..., where it is one of these.
    """
    index = torch.arange(len(batch.starts), device=batch.starts.device)
    begins = batch.starts == index
    starts, ends = batch.starts[begins], batch.ends[begins]
    lengths = ends - starts + (left + right)
    lengths = lengths + (-lengths) % step
    # The distance from a row's number to its frame's is the same all through an utterance.
    distance = starts - left - (lengths.cumsum(0) - lengths)
    if first is not None:
        distance += first[: len(starts)]
    rows = (index - left - distance[begins.cumsum(0) - 1]) // step
    total = int(lengths.sum())
    bounds = torch.stack([distance, starts, ends - 1])
    distance, starts, last = bounds.repeat_interleave(lengths, dim=1, output_size=total)
    picked = torch.arange(total, device=index.device) + distance
    return torch.minimum(torch.maximum(picked, starts), last), rows
