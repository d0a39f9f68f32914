"""Sums over all paths of a denominator graph, and their derivatives, for a batch of utterances."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.sparse import check_sparse_tensor_invariants

from asr_hf.data.denominator_graph import DenominatorGraph

# How far below a frame's largest output another one is told apart: e^-60 leaves float32 room for
# the weights of arcs.
_LOWEST = -60.0


@dataclass(frozen=True)
class DenominatorRecursion:
    """A denominator graph as sparse matrices.

    An entry is a state together with the pdf of the arcs by which it is entered; a frame takes
    each path from a state to an entry, and so to its state.

    Args:
        initial: π, probability of each state before the first frame [S, 1].
        enter: weights of the arcs from states to entries [Q, S], sparse.
        leave: its transpose [S, Q], sparse.
        merge: ones from entries to their states [S, Q], sparse.
        count: ones from entries to their pdfs [C, Q], sparse.
        pdf: pdf of each entry [Q].
        state: state of each entry [Q].
    """

    initial: Tensor
    enter: Tensor
    leave: Tensor
    merge: Tensor
    count: Tensor
    pdf: Tensor
    state: Tensor

    @classmethod
    def of(
        cls, graph: DenominatorGraph, dtype: torch.dtype, device: torch.device
    ) -> DenominatorRecursion:
        """Bring a graph to a device.

        Args:
            graph: the graph.
            dtype: type of all sums, float32 or float64.
            device: the device.

        Returns:
            Its matrices.
        """
        pairs = graph.arcs["target"].astype(np.int64) * graph.num_pdfs + graph.arcs["pdf"]
        entries, entered = np.unique(pairs, return_inverse=True)
        state, pdf = np.divmod(entries, graph.num_pdfs)
        source = graph.arcs["source"].astype(np.int64)
        numbers, states = np.arange(len(entries)), graph.num_states
        ones = np.ones(len(entries))

        def sparse(
            rows: np.ndarray, columns: np.ndarray, values: np.ndarray, shape: tuple[int, int]
        ) -> Tensor:
            places = torch.from_numpy(np.stack([rows, columns]))
            checked = check_sparse_tensor_invariants()  # type: ignore[no-untyped-call]
            with warnings.catch_warnings(), checked:
                # torch calls its compressed rows a beta; the products used here are old.
                warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
                matrix = torch.sparse_coo_tensor(places, torch.from_numpy(values).to(dtype), shape)
                return matrix.coalesce().to_sparse_csr().to(device)

        weights, count = graph.arcs["weight"], len(entries)
        return cls(
            initial=torch.from_numpy(graph.initial).to(device, dtype)[:, None],
            enter=sparse(entered, source, weights, (count, states)),
            leave=sparse(source, entered, weights, (states, count)),
            merge=sparse(state, numbers, ones, (states, count)),
            count=sparse(pdf, numbers, ones, (graph.num_pdfs, count)),
            pdf=torch.from_numpy(pdf).to(device),
            state=torch.from_numpy(state).to(device),
        )


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
        entries: probability of each entry given the frames so far [Q, utterances that go on], for
            all t; none without `keep`, once the occupancies are known.
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
        self.entries: list[Tensor] = []
        sorted_totals = self._forward(logits, tops, len(lengths))
        self.totals = torch.empty_like(sorted_totals).index_copy_(0, order, sorted_totals)
        self._shape, self._keep = logits.shape, keep
        self._betas: list[Tensor] = []

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
            entered = graph.enter @ (alpha[:, : len(rows)] + leap)
            entered.mul_(emission.index_select(0, graph.pdf))
            scale = entered.sum(0)
            totals[: len(rows)] += scale.double().log() + top.squeeze(1).double()
            self.entries.append(entered.div_(scale))
            self._emissions.append(emission.div_(scale))
            alpha = graph.merge @ entered
        return totals

    @cached_property
    def occupancies(self) -> Tensor:
        """Expected number of times that a frame takes a pdf [F, C]; a frame's add up to 1."""
        graph = self.graph
        result = graph.initial.new_empty(self._shape)
        leap = graph.initial.T * self.leak
        beta = graph.initial.new_empty(len(graph.initial), 0)
        for rows, emission, entered in zip(
            reversed(self.rows), reversed(self._emissions), reversed(self.entries), strict=True
        ):
            beta = _with_columns(beta, len(rows), 1.0)
            if self._keep:
                self._betas.append(beta)
            ahead = beta.index_select(0, graph.state)
            result[rows] = (graph.count @ (entered * ahead)).T
            beta = graph.leave @ ahead.mul_(emission.index_select(0, graph.pdf))
            beta = beta.add(leap @ beta)
        self._betas.reverse()
        if not self._keep:
            self._emissions, self.entries = [], []
        return result

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
        for rows, emission, entered, beta in zip(
            reversed(self.rows),
            reversed(self._emissions),
            reversed(self.entries),
            reversed(self._betas),
            strict=True,
        ):
            change = _with_columns(change, len(rows), 0.0)
            ahead = beta.index_select(0, graph.state)
            moved = change.index_select(0, graph.state)
            result[rows] = (graph.count @ (changes.pop() * ahead).addcmul_(entered, moved)).T
            own = along.index_select(0, rows).T.index_select(0, graph.pdf)
            moved.addcmul_(own, ahead).mul_(emission.index_select(0, graph.pdf))
            change = graph.leave @ moved
            change = change.add(leap @ change)
        return result

    def _tangent_forward(self, along: Tensor) -> list[Tensor]:
        """Return the change of what enters at each frame [Q, utterances that go on]."""
        graph, leap = self.graph, self.graph.initial * self.leak
        change = graph.initial.new_zeros(len(graph.initial), len(self.rows[0]))
        changes = []
        for rows, emission, entered in zip(self.rows, self._emissions, self.entries, strict=True):
            change = change[:, : len(rows)]
            moved = graph.enter @ change.addcmul(leap, change.sum(0, keepdim=True))
            moved.mul_(emission.index_select(0, graph.pdf))
            own = along.index_select(0, rows).T.index_select(0, graph.pdf)
            changes.append(moved.addcmul_(entered, own))
            change = graph.merge @ moved
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
