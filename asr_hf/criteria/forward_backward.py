"""Sums over all paths of lattices, and their derivatives: forward-backward in the log semiring."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_hf.criteria.lattice_batch import LatticeBatch
from asr_hf.criteria.level_schedule import LatticeSchedule


class ForwardBackward:
    """Path sums of lattices whose arcs have the scores s.

    With α(j) = log Σ exp(score of the paths to state j) and β(j) likewise for the paths from it,
    Z = α(last) = β(first), and the posterior of an arc q from i to j is
    γ(q) = exp(α(i) + s(q) + β(j) - Z). Both recursions run in the same loop over levels; nothing
    loops over arcs. They run in float64: float32 leaves sums near -1e5 two digits behind the point,
    and would not be faster where the number of operations counts, not their size.

    Args:
        batch: the lattices.
        scores: arc scores s, natural logarithms [A], float32 or float64.

    Attributes:
        posteriors: posterior γ of each arc [A], float64.
        totals: Z of each utterance [U], float64.
        backward_totals: Z computed from the end [U], float64.
    """

    def __init__(self, batch: LatticeBatch, scores: Tensor) -> None:
        self._batch = batch
        schedule = batch.schedule
        wide = scores.double()
        on_edges = wide.index_select(0, schedule.arc)
        # p(arc | state it leads to) and p(arc | state it leaves), one an edge; views of its levels.
        self._conditional = on_edges.clone()
        self._by_level = torch.split(self._conditional, schedule.edge_sizes)
        values = _log_sums(schedule, on_edges, self._conditional, self._by_level)
        alpha, beta = (values.index_select(0, nodes) for nodes in schedule.nodes)
        self.totals, self.backward_totals = alpha[batch.last], beta[batch.first]
        through = alpha.index_select(0, batch.source).add_(wide)
        through.add_(beta.index_select(0, batch.target))
        through.sub_(self.totals.index_select(0, batch.utterance))
        self.posteriors = through.exp_()

    def tangent(self, direction: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the derivatives of posteriors and totals along a direction of the scores.

        Along a direction that counts something on each arc, the derivative of Z is the expected
        count over paths, and the derivative of γ(q) is γ(q) (c(q) - expected count), with c(q) the
        expected count over paths through q: the gradient of the expected count (Povey 2003; Veselý
        et al. 2013).

        Args:
            direction: change of the scores [A].

        Returns:
            Derivatives of the posteriors [A] and of Z [U], float64.
        """
        batch, schedule = self._batch, self._batch.schedule
        wide = direction.double()
        # Changes of α and β are means over the edges into a node.
        on_edges = wide.index_select(0, schedule.arc).mul_(self._conditional)
        changes = wide.new_zeros(schedule.num_nodes).index_add_(0, schedule.target, on_edges)
        _propagate(schedule, changes, self._by_level, slice(None))
        alpha, beta = (changes.index_select(0, nodes) for nodes in schedule.nodes)
        totals = alpha[batch.last]
        through = alpha.index_select(0, batch.source).add_(wide)
        through.add_(beta.index_select(0, batch.target))
        through.sub_(totals.index_select(0, batch.utterance))
        return through.mul_(self.posteriors), totals


def _log_sums(
    schedule: LatticeSchedule, scores: Tensor, relative: Tensor, by_level: tuple[Tensor, ...]
) -> Tensor:
    """Compute α and β at every node.

    Block by block, the best path's score is found first, and then the sum of all paths relative to
    it: six operations on each level, where sums of logarithms take ten.

    Args:
        schedule: order of the edges.
        scores: score of each edge [2 A].
        relative: scores of the edges [2 A]; overwritten by exp(value at an edge's source + score -
            value at its target).
        by_level: views of `relative`, one a level.

    Returns:
        The value of each node, float64.
    """
    values = scores.new_full((schedule.num_nodes,), -torch.inf)
    values[schedule.starts] = 0.0
    mass = torch.zeros_like(values)
    mass[schedule.starts] = 1.0
    for levels, nodes, edges in schedule.blocks:
        for source, target, terms in zip(
            schedule.sources[levels], schedule.targets[levels], by_level[levels], strict=True
        ):
            terms.add_(values.index_select(0, source))
            values.scatter_reduce_(0, target, terms, "amax")
        to = values.index_select(0, schedule.target[edges])
        relative[edges].sub_(to).exp_()
        _propagate(schedule, mass, by_level, levels)
        values[nodes] += mass[nodes].log()
        mass[nodes] = 1.0
    torch.index_select(values, 0, schedule.source, out=relative)
    relative.add_(scores).sub_(values.index_select(0, schedule.target)).exp_()
    return values


def _propagate(
    schedule: LatticeSchedule, values: Tensor, weights: tuple[Tensor, ...], levels: slice
) -> None:
    """Add to each node's value the values of the nodes before it, weighted by the edges."""
    for source, target, weight in zip(
        schedule.sources[levels], schedule.targets[levels], weights[levels], strict=True
    ):
        values.index_add_(0, target, values.index_select(0, source).mul_(weight))
