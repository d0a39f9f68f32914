"""Sums over all paths of a denominator graph, and their derivatives, for a batch of utterances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from asr_hf.criteria.denominator_recursion import DenominatorRecursion

# How far below a frame's largest output another one is told apart: e^-60 leaves float32 room for
# the weights of arcs.
LOWEST = -60.0


class FrameSums(NamedTuple):
    """What the forward pass adds up at one frame, utterances side by side.

    Args:
        rows: number of the frame in each utterance that has one, the longest utterance first.
        emission: probabilities of the outputs, divided by `scale` [C, rows].
        scale: what the sums over all states add up to [rows].
        entered: weight of each entry given the frames so far, up to a factor of each utterance
            [M + S, rows].
    """

    rows: Tensor
    emission: Tensor
    scale: Tensor
    entered: Tensor


class DenominatorPaths:
    """The distribution over the paths of the leaky HMM, given the outputs of whole utterances.

    Before each frame a path may leap: from any state, with weight η times its probability, to a
    state drawn from π (Povey et al. 2016, section 3.2). That keeps β within 1 / (η π), so that all
    runs in the probability domain, scaled anew at each frame; totals are summed in float64. Every
    state may be the last.

    Frame by frame the utterances stand side by side, the longest first, so that those that go on
    are always the first columns.

    The frames are cut into blocks. Forward sums are kept where a block begins, and within the last
    block. The backward pass computes those of the other blocks again, one block at a time (Chen et
    al. 2016). The operations and their order are the same, so nothing is approximated.

    Args:
        graph: the graph as matrices.
        logits: outputs, log likelihoods of the frames up to a constant each [F, C].
        lengths: number of frames of each utterance [U], in the order of their frames.
        leak: η.
        keep: whether a single block keeps its sums, for many tangents; several blocks never do.
        block: number of frames of a block; the first one may be shorter. None makes one block.

    Attributes:
        totals: log of the weight of all paths of each utterance [U], float64.
    """

    def __init__(
        self,
        graph: DenominatorRecursion,
        logits: Tensor,
        lengths: Tensor,
        leak: float,
        keep: bool = False,
        block: int | None = None,
    ) -> None:
        self.graph, self.leak = graph, leak
        # What leaps to each state where α adds up to 1 [S, 1].
        self._leap = graph.initial * leak
        order, self._rows = _side_by_side(lengths, logits.device)
        self._logits, self._tops = logits, logits.amax(dim=1, keepdim=True)
        self._blocks = cut(len(self._rows), block or len(self._rows))
        self._keep = keep and len(self._blocks) == 1
        # α where each block begins; the frames of the last block, until a backward pass takes them.
        self._borders: list[Tensor] = []
        self._last: list[FrameSums] = []
        sorted_totals = self._forward(len(lengths))
        self.totals = torch.empty_like(sorted_totals).index_copy_(0, order, sorted_totals)
        self._betas: list[Tensor] = []
        self._weights: list[Tensor] = []

    def _forward(self, utterances: int) -> Tensor:
        """Keep what backward passes need; return the totals, the longest utterance first [U]."""
        totals = torch.zeros(utterances, dtype=torch.float64, device=self._logits.device)
        alpha = self.graph.initial.expand(-1, utterances)
        for block in self._blocks:
            self._borders.append(alpha)
            for number in block:
                frame, alpha = self._step(number, alpha)
                top = self._tops.index_select(0, frame.rows).squeeze(1)
                totals[: len(top)] += frame.scale.double().log() + top.double()
                if block is self._blocks[-1]:
                    self._last.append(frame)
        return totals

    def _step(self, number: int, alpha: Tensor) -> tuple[FrameSums, Tensor]:
        """Take α over a frame: return what enters there, and the next α [S, rows]."""
        graph, rows = self.graph, self._rows[number]
        top = self._tops.index_select(0, rows)
        below = self._logits.index_select(0, rows).sub_(top).clamp_min_(LOWEST).T
        emission = below.contiguous().to(graph.initial.dtype).exp_()
        # α adds up to 1, and with it what leaps.
        entered = graph.entered(alpha[:, : len(rows)] + self._leap)
        entered.mul_(emission.index_select(0, graph.pdf))
        alpha = graph.merged(entered)
        scale = alpha.sum(0)
        return FrameSums(rows, emission.div_(scale), scale, entered), alpha.div_(scale)

    def _frames(self, place: int) -> Iterator[FrameSums]:
        """Yield the frames of a block, forwards; the caller may overwrite what is not kept."""
        last = place == len(self._blocks) - 1
        if last and self._last:
            frames = self._last
            if not self._keep:
                self._last = []
            yield from frames
            return
        alpha = self._borders[place]
        for number in self._blocks[place]:
            frame, alpha = self._step(number, alpha)
            yield frame

    def backwards(self) -> Iterator[FrameSums]:
        """Yield the sums of each frame, the last first."""
        for place in reversed(range(len(self._blocks))):
            frames = list(self._frames(place))
            while frames:
                yield frames.pop()

    @cached_property
    def occupancies(self) -> Tensor:
        """Expected number of times that a frame takes a pdf [F, C]; a frame's add up to 1."""
        graph = self.graph
        result = graph.initial.new_empty(self._logits.shape)
        beta = graph.initial.new_empty(len(graph.initial), 0)
        for rows, emission, _, entered in self.backwards():
            beta = _with_columns(beta, len(rows), 1.0)
            if self._keep:
                self._betas.append(beta)
                entered = entered.clone()
            for through, value in zip(graph.parts(entered), graph.at_entries(beta), strict=True):
                through.mul_(value)
            met = graph.count @ entered
            # The frame's scale, but for the rounding that has added up in β over the frames, as a
            # factor that all states share.
            weight = met.sum(0)
            self._weights.append(weight)
            result[rows] = met.div_(weight).T
            beta = self._before(emission.index_select(0, graph.pdf), beta)
        return result

    def _before(self, outputs: Tensor, beta: Tensor) -> Tensor:
        """Take β [S, rows] back over a frame; overwrite its outputs at entries."""
        graph = self.graph
        for part, value in zip(graph.parts(outputs), graph.at_entries(beta), strict=True):
            part.mul_(value)
        beta = graph.left(outputs)
        return beta.add_(self._leap.T @ beta)

    def tangent(self, direction: Tensor) -> Tensor:
        """Return the derivative of the occupancies along a direction of the outputs.

        It is the covariance, over paths, of how often each output is met, times the direction: the
        Fisher matrix of the paths. The direction's mean over each frame's occupancies is taken off
        first. The total then stays as it is, and sums along a path do not grow with its length.

        Args:
            direction: change of the outputs [F, C].

        Returns:
            Change of the occupancies [F, C].
        """
        wide = direction.to(self.occupancies.dtype)
        along = wide - (self.occupancies * wide).sum(1, keepdim=True)
        graph = self.graph
        result = torch.empty_like(along)
        change = beta = graph.initial.new_empty(len(graph.initial), 0)
        for place, (frame, moved) in enumerate(self._changes_backwards(along)):
            rows, entered = frame.rows, frame.entered
            change = _with_columns(change, len(rows), 0.0)
            beta = self._betas[place] if self._keep else _with_columns(beta, len(rows), 1.0)
            outputs = frame.emission.index_select(0, graph.pdf)
            ahead = along.index_select(0, rows).T.index_select(0, graph.pdf)
            for to, part, through, value, by in zip(
                *map(graph.parts, (moved, ahead, entered)),
                *map(graph.at_entries, (beta, change)),
                strict=True,
            ):
                to.mul_(value).addcmul_(through, by)
                part.mul_(value).add_(by)
            result[rows] = (graph.count @ moved).div_(self._weights[place]).T
            change = graph.left(ahead.mul_(outputs))
            change.add_(self._leap.T @ change)
            if not self._keep:
                beta = self._before(outputs, beta)
        return result

    def _changes_backwards(self, along: Tensor) -> Iterator[tuple[FrameSums, Tensor]]:
        """Yield the sums of each frame and the change of what enters there, the last first."""
        borders = [self.graph.initial.new_zeros(len(self.graph.initial), len(self._rows[0]))]
        for place in range(len(self._blocks) - 1):
            change = borders[-1]
            for frame in self._frames(place):
                change = self._change(frame, change, along)[1]
            borders.append(change)
        for place in reversed(range(len(self._blocks))):
            change, pairs = borders.pop(), []
            for frame in self._frames(place):
                moved, change = self._change(frame, change, along)
                pairs.append((frame, moved))
            while pairs:
                yield pairs.pop()

    def _change(self, frame: FrameSums, change: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
        """Take the change of α over a frame: return that of `entered`, and of the next α."""
        graph, (rows, emission, scale, entered) = self.graph, frame
        change = change[:, : len(rows)]
        leaps = change.sum(0, keepdim=True)
        moved = graph.entered(change.addcmul(self._leap, leaps))
        moved.mul_((emission * scale).index_select(0, graph.pdf))
        own = along.index_select(0, rows).T.index_select(0, graph.pdf)
        moved.addcmul_(entered, own)
        return moved, graph.merged(moved).div_(scale)


def cut(frames: int, block: int) -> list[range]:
    """Cut frames into blocks, of which the first may be shorter."""
    return [range(max(0, end - block), end) for end in range(frames, 0, -block)][::-1]


def _side_by_side(lengths: Tensor, device: torch.device) -> tuple[Tensor, Sequence[Tensor]]:
    """Put utterances side by side, the longest first.

    Returns:
        Their order [U]; and the number of each one's t-th frame, for all t.
    """
    counts = lengths.cpu().numpy()
    starts = np.cumsum(counts) - counts
    order = np.argsort(-counts, kind="stable")
    going_on = np.searchsorted(-counts[order], -np.arange(int(counts.max())), side="left")
    rows = [
        torch.from_numpy(starts[order[:count]] + t).to(device)
        for t, count in enumerate(going_on.tolist())
    ]
    return torch.from_numpy(order).to(device), rows


def _with_columns(matrix: Tensor, count: int, value: float) -> Tensor:
    """Return a matrix [S, B] with columns of a value behind it, `count` in all."""
    missing = count - matrix.shape[1]
    if not missing:
        return matrix
    return torch.cat([matrix, matrix.new_full((len(matrix), missing), value)], dim=1)
