"""Sums over all paths of lattices, and their derivatives: forward-backward in the log semiring."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_hf.criteria.lattice_batch import LatticeBatch


class ForwardBackward:
    """Path sums of lattices whose arcs have the scores s.

    With α(j) = log Σ exp(score of the paths to state j) and β(j) likewise for the paths from it,
    Z = α(last) = β(first), and the posterior of an arc q from i to j is
    γ(q) = exp(α(i) + s(q) + β(j) - Z). Both recursions run in float64 and in the same loop over
    levels; nothing loops over arcs.

    Args:
        batch: the lattices.
        scores: s, natural logarithms [A], float32 or float64.
    """

    def __init__(self, batch: LatticeBatch, scores: Tensor) -> None:
        self._batch = batch
        sweep = batch.sweep
        wide = scores.double()
        on_edges = wide.index_select(0, sweep.arc)
        values = _log_sums(batch, on_edges)
        alpha, beta = (values.index_select(0, nodes) for nodes in sweep.nodes)
        self.totals, self.backward_totals = alpha[batch.last], beta[batch.first]
        inside = alpha.index_select(0, batch.source).add_(wide)
        outside = beta.index_select(0, batch.target)
        # p(arc | state it leads to) and p(arc | state it leaves), one an edge.
        self._conditional = torch.empty_like(on_edges)
        forward, backward = sweep.edges
        to = alpha.index_select(0, batch.target)
        self._conditional[forward] = torch.sub(inside, to, out=to).exp_()
        wide = wide.add(outside).sub_(beta.index_select(0, batch.source))
        self._conditional[backward] = wide.exp_()
        inside.add_(outside).sub_(self.totals.index_select(0, batch.utterance))
        self.posteriors = inside.exp_()

    def tangent(self, direction: Tensor) -> tuple[Tensor, Tensor]:
        """Derivative of posteriors and totals as the scores move.

        Along a direction that counts something on each arc, the totals' derivative is the expected
        count over paths, and the posteriors' is γ(q) (c(q) - expected count), with c(q) that of the
        paths through q: the gradient of the expected count (Povey 2003; Veselý et al. 2013).

        Args:
            direction: change of the scores [A].

        Returns:
            Derivatives of the posteriors [A] and of Z [U], float64.
        """
        batch, sweep = self._batch, self._batch.sweep
        wide = direction.double()
        changes = _linear_sums(batch, wide.index_select(0, sweep.arc), self._conditional)
        alpha, beta = (changes.index_select(0, nodes) for nodes in sweep.nodes)
        totals = alpha[batch.last]
        through = alpha.index_select(0, batch.source).add_(wide)
        through.add_(beta.index_select(0, batch.target))
        through.sub_(totals.index_select(0, batch.utterance))
        return through.mul_(self.posteriors), totals


def _log_sums(batch: LatticeBatch, scores: Tensor) -> Tensor:
    """α and β at every node, from the scores of the edges [2 A]."""
    sweep = batch.sweep
    values = scores.new_full((sum(sweep.node_sizes),), -torch.inf)
    values[sweep.starts] = 0.0
    blocks = torch.split(values, sweep.node_sizes)[1:]
    for block, source, target, score in zip(
        blocks, sweep.source, sweep.target, torch.split(scores, sweep.edge_sizes), strict=True
    ):
        terms = values.index_select(0, source).add_(score)
        block.scatter_reduce_(0, target, terms, "amax")
        terms.sub_(block.index_select(0, target)).exp_()
        block.add_(torch.zeros_like(block).index_add_(0, target, terms).log_())
    return values


def _linear_sums(batch: LatticeBatch, scores: Tensor, weights: Tensor) -> Tensor:
    """Derivatives of α and β at every node: means over the edges into it."""
    sweep = batch.sweep
    values = scores.new_zeros(sum(sweep.node_sizes))
    blocks = torch.split(values, sweep.node_sizes)[1:]
    for block, source, target, score, weight in zip(
        blocks,
        sweep.source,
        sweep.target,
        torch.split(scores, sweep.edge_sizes),
        torch.split(weights, sweep.edge_sizes),
        strict=True,
    ):
        terms = values.index_select(0, source).add_(score).mul_(weight)
        block.index_add_(0, target, terms)
    return values
