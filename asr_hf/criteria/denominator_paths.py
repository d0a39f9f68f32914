"""Sums over all paths of a denominator graph, and their derivatives, for a batch of utterances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from asr_hf.criteria.denominator_recursion import DenominatorRecursion

# How far below a frame's largest output another one is told apart: e^-60 leaves float32 room for
# the weights of arcs.
_LOWEST = -60.0


class DenominatorPaths:
    """The distribution over the paths of the leaky HMM, given the outputs of whole utterances.

    Before each frame a path may leap: from any state, with weight η times its probability, to a
    state drawn from π (Povey et al. 2016, section 3.2). That keeps β within 1 / (η π), so that all
    runs in the probability domain, scaled anew at each frame; totals are summed in float64. Every
    state may be the last.

    Frame by frame the utterances stand side by side, the longest first, so that those that go on
    are always the first columns.

    Args:
        graph: the graph as matrices.
        logits: outputs, log likelihoods of the frames up to a constant each [F, C].
        lengths: number of frames of each utterance [U], in the order of their frames.
        leak: η.
        keep: whether `tangent` or `draw_paths` will be called.

    Attributes:
        rows: number of each utterance's t-th frame, the longest utterance first, for all t.
        entries: weight of each entry given the frames so far [M + S, utterances that go on], up to
            a factor of each utterance, for all t; none without `keep`, once the occupancies are
            known.
        totals: log of the weight of all paths of each utterance [U], float64.
    """

    def __init__(
        self,
        graph: DenominatorRecursion,
        logits: Tensor,
        lengths: Tensor,
        leak: float,
        keep: bool = False,
    ) -> None:
        self.graph, self.leak = graph, leak
        order, self.rows = _side_by_side(lengths, logits.device)
        tops = logits.amax(dim=1, keepdim=True)
        self._emissions: list[Tensor] = []
        self._scales: list[Tensor] = []
        self.entries: list[Tensor] = []
        sorted_totals = self._forward(logits, tops, len(lengths))
        self.totals = torch.empty_like(sorted_totals).index_copy_(0, order, sorted_totals)
        self._shape, self._keep = logits.shape, keep
        self._betas: list[Tensor] = []
        self._weights: list[Tensor] = []

    def _forward(self, logits: Tensor, tops: Tensor, utterances: int) -> Tensor:
        """Keep what each frame adds; return the totals, the longest utterance first [U]."""
        graph, leap = self.graph, self.graph.initial * self.leak
        totals = torch.zeros(utterances, dtype=torch.float64, device=logits.device)
        alpha = graph.initial.expand(-1, utterances)
        for rows in self.rows:
            top = tops.index_select(0, rows)
            below = logits.index_select(0, rows).sub_(top).clamp_min_(_LOWEST).T
            emission = below.contiguous().to(graph.initial.dtype).exp_()
            # α adds up to 1, and with it what leaps.
            entered = graph.entered(alpha[:, : len(rows)] + leap)
            entered.mul_(emission.index_select(0, graph.pdf))
            alpha = graph.merged(entered)
            scale = alpha.sum(0)
            totals[: len(rows)] += scale.double().log() + top.squeeze(1).double()
            self.entries.append(entered)
            self._scales.append(scale)
            self._emissions.append(emission.div_(scale))
            alpha.div_(scale)
        return totals

    @cached_property
    def occupancies(self) -> Tensor:
        """Expected number of times that a frame takes a pdf [F, C]; a frame's add up to 1."""
        graph = self.graph
        result = graph.initial.new_empty(self._shape)
        leap = graph.initial.T * self.leak
        beta = graph.initial.new_empty(len(graph.initial), 0)
        for rows, emission, entered, _ in self._backwards():
            beta = _with_columns(beta, len(rows), 1.0)
            if self._keep:
                self._betas.append(beta)
                entered = entered.clone()
            ahead = emission.index_select(0, graph.pdf)
            for part, through, value in zip(
                graph.parts(ahead), graph.parts(entered), graph.at_entries(beta), strict=True
            ):
                part.mul_(value)
                through.mul_(value)
            met = graph.count @ entered
            # The frame's scale, but for the rounding that has added up in β over the frames, as a
            # factor that all states share.
            weight = met.sum(0)
            if self._keep:
                self._weights.append(weight)
            result[rows] = met.div_(weight).T
            beta = graph.left(ahead)
            beta.add_(leap @ beta)
        self._betas.reverse()
        if not self._keep:
            self._emissions, self._scales, self.entries = [], [], []
        return result

    def _backwards(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yield rows, outputs, entries and scale of each frame, the last first."""
        kept = (self.rows, self._emissions, self.entries, self._scales)
        return zip(*map(reversed, kept), strict=True)

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
        changes = self._tangent_forward(along)
        graph, leap = self.graph, self.graph.initial.T * self.leak
        result = torch.empty_like(along)
        change = graph.initial.new_empty(len(graph.initial), 0)
        for (rows, emission, entered, _), beta, weight in zip(
            self._backwards(), reversed(self._betas), self._weights, strict=True
        ):
            change = _with_columns(change, len(rows), 0.0)
            moved, ahead = changes.pop(), along.index_select(0, rows).T.index_select(0, graph.pdf)
            for to, part, through, value, by in zip(
                *map(graph.parts, (moved, ahead, entered)),
                *map(graph.at_entries, (beta, change)),
                strict=True,
            ):
                to.mul_(value).addcmul_(through, by)
                part.mul_(value).add_(by)
            result[rows] = (graph.count @ moved).div_(weight).T
            change = graph.left(ahead.mul_(emission.index_select(0, graph.pdf)))
            change.add_(leap @ change)
        return result

    def _tangent_forward(self, along: Tensor) -> list[Tensor]:
        """Return the change of what enters at each frame, as `entries` are [M + S, ...]."""
        graph, leap = self.graph, self.graph.initial * self.leak
        change = graph.initial.new_zeros(len(graph.initial), len(self.rows[0]))
        changes = []
        for rows, emission, entered, scale in zip(
            self.rows, self._emissions, self.entries, self._scales, strict=True
        ):
            change = change[:, : len(rows)]
            moved = graph.entered(change.addcmul(leap, change.sum(0, keepdim=True)))
            moved.mul_((emission * scale).index_select(0, graph.pdf))
            own = along.index_select(0, rows).T.index_select(0, graph.pdf)
            changes.append(moved.addcmul_(entered, own))
            change = graph.merged(moved).div_(scale)
        return changes


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
