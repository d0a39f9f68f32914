"""Sums over all ways to say transcripts, and their derivatives, for a batch of utterances."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from asr_hf.criteria.transcript_batch import NOTHING, TranscriptBatch


class TranscriptPaths:
    """The distribution over the paths of transcript graphs, given the outputs.

    All graphs go forward by a frame at once: what enters each state, added up over its arcs, and
    what stays there. Sums are of logarithms, in float64: a path that must hurry on to be in time
    may lie far below one that waits, too far for probabilities. A graph has few states, so that
    this costs little beside the denominator.

    Args:
        graphs: the graphs.
        scores: outputs, log likelihoods of the frames up to a constant each [F, C].

    Attributes:
        totals: log of the weight of all paths of each utterance [U], float64.
    """

    def __init__(self, graphs: TranscriptBatch, scores: Tensor) -> None:
        self._graphs, self._shape = graphs, scores.shape
        self._scores = scores.contiguous().view(-1)
        classes = scores.shape[1]
        # Where the outputs for a state's frames stand, but for the number of the frame.
        self._first = graphs.start * classes + graphs.first
        self._rest = graphs.start * classes + graphs.rest
        # What has entered each state and what has stayed there, frame by frame.
        self._entered: list[Tensor] = []
        self._stayed: list[Tensor] = []
        self._sorted_totals = self._forward()
        self.totals = torch.empty_like(self._sorted_totals)
        self.totals.index_copy_(0, graphs.order, self._sorted_totals)

    def _forward(self) -> Tensor:
        """Keep what each frame adds; return the totals, the longest utterance first [U]."""
        graphs = self._graphs
        alpha = torch.full_like(graphs.stay, NOTHING)
        alpha[graphs.starts] = 0.0
        last = torch.full_like(alpha, NOTHING)
        for frame, (states, arcs) in enumerate(graphs.going_on):
            # Utterances that end before this frame.
            last[states : len(alpha)] = alpha[states:]
            alpha = alpha[:states]
            along = alpha.index_select(0, graphs.source[:arcs]).add_(graphs.weight[:arcs])
            entered = _log_sums(along, graphs.target[:arcs], states)
            entered.add_(self._outputs(self._first, frame, states))
            stayed = self._outputs(self._rest, frame, states).add_(graphs.stay[:states])
            stayed.add_(alpha)
            self._entered.append(entered)
            self._stayed.append(stayed)
            alpha = torch.logaddexp(entered, stayed)
        last[: len(alpha)] = alpha
        return _log_sums(last.add_(graphs.final), graphs.utterance, len(graphs.starts))

    def _outputs(self, places: Tensor, frame: int, states: int) -> Tensor:
        """Return the outputs of each utterance's frame of a number, for the first states [S]."""
        found = self._scores.index_select(0, places[:states] + frame * self._shape[1])
        return found.double()

    @cached_property
    def occupancies(self) -> Tensor:
        """Expected number of times that a frame takes a pdf [F, C]; a frame's add up to 1."""
        graphs = self._graphs
        wide = torch.promote_types(self._scores.dtype, torch.float32)
        result = torch.zeros(len(self._scores), dtype=wide, device=self._scores.device)
        totals = self._sorted_totals.index_select(0, graphs.utterance)
        # What follows the frames so far, less the total.
        beta = graphs.final - totals
        for frame in range(len(graphs.going_on) - 1, -1, -1):
            states, arcs = graphs.going_on[frame]
            here = beta[:states]
            for places, through in (
                (self._first, self._entered.pop()),
                (self._rest, self._stayed.pop()),
            ):
                # Rounding of huge outputs is bounded, too.
                occupied = through.add_(here).clamp_max_(0.0).exp_().to(wide)
                result.index_add_(0, places[:states] + frame * self._shape[1], occupied)
            ahead = self._outputs(self._first, frame, states).add_(here)
            along = ahead.index_select(0, graphs.target[:arcs]).add_(graphs.weight[:arcs])
            stays = self._outputs(self._rest, frame, states).add_(graphs.stay[:states]).add_(here)
            beta[:states] = torch.logaddexp(_log_sums(along, graphs.source[:arcs], states), stays)
        return result.view(self._shape)


def _log_sums(values: Tensor, target: Tensor, count: int) -> Tensor:
    """Return the log of the sum of exp(values) at each of `count` targets; `NOTHING` for none."""
    most = values.new_full((count,), NOTHING)
    most.scatter_reduce_(0, target, values, "amax")
    parts = values.sub_(most.index_select(0, target)).exp_()
    sums = torch.zeros_like(most).index_add_(0, target, parts)
    return most.add_(sums.log_().clamp_min_(NOTHING))
