"""A denominator graph as matrices that take a batch of utterances a frame forwards or back."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.sparse import check_sparse_tensor_invariants

from asr_hf.criteria.denominator_entries import entries_of
from asr_hf.data.denominator_graph import DenominatorGraph


@dataclass(frozen=True)
class DenominatorRecursion:
    """A denominator graph as sparse matrices.

    An entry is a state together with the pdf of the arcs by which it is entered; a frame takes
    each path from a state to an entry, and so to its state. The first M entries are numbered as in
    `entries_of`, and entries M + s are those of the loops: merging the entries of states is then an
    addition, and loops need no sparse product.

    Args:
        initial: π, probability of each state before the first frame [S, 1].
        enter: weights of the arcs from states to the first M entries [M, S], sparse.
        leave: its transpose [S, M], sparse.
        stay: weight of each state's loop [S, 1]; 0 where it has none.
        count: ones from entries to their pdfs [C, M + S], sparse.
        pdf: pdf of each entry [M + S].
        further: states of the entries from S to M [M - S].
    """

    initial: Tensor
    enter: Tensor
    leave: Tensor
    stay: Tensor
    count: Tensor
    pdf: Tensor
    further: Tensor

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
        states = graph.num_states
        stay, stay_pdf, moves, entered, state, pdf = entries_of(graph)
        pdfs = np.concatenate([pdf, stay_pdf])
        shape, weights = (len(state), states), moves["weight"]
        source = moves["source"].astype(np.int64)

        def sparse(
            rows: np.ndarray, columns: np.ndarray, values: np.ndarray, shape: tuple[int, int]
        ) -> Tensor:
            return _sparse(rows, columns, values, shape, dtype).to(device)

        return cls(
            initial=torch.from_numpy(graph.initial).to(device, dtype)[:, None],
            enter=sparse(entered, source, weights, shape),
            leave=sparse(source, entered, weights, shape[::-1]),
            stay=torch.from_numpy(stay).to(device, dtype)[:, None],
            count=sparse(
                pdfs, np.arange(len(pdfs)), np.ones(len(pdfs)), (graph.num_pdfs, len(pdfs))
            ),
            pdf=torch.from_numpy(pdfs).to(device),
            further=torch.from_numpy(state[states:]).to(device),
        )

    def entered(self, source: Tensor) -> Tensor:
        """Return what goes from states [S, U] to entries [M + S, U], without their outputs."""
        moves = len(self.pdf) - len(source)
        entries = source.new_empty(len(self.pdf), source.shape[1])
        torch.mm(self.enter, source, out=entries[:moves])
        torch.mul(source, self.stay, out=entries[moves:])
        return entries

    def left(self, entries: Tensor) -> Tensor:
        """Return what goes back from entries [M + S, U] to states [S, U]: the transpose."""
        moves = len(entries) - len(self.stay)
        states: Tensor = self.leave @ entries[:moves]
        return states.addcmul_(entries[moves:], self.stay)

    def merged(self, entries: Tensor) -> Tensor:
        """Return the sum over the entries of each state [S, U], given [M + S, U]."""
        first, loops, *further = self.parts(entries)
        states = first + loops
        return states.index_add_(0, self.further, further[0]) if further else states

    def parts(self, entries: Tensor) -> tuple[Tensor, ...]:
        """Return views of entries [M + S, U]: a first and a loop of each state, further ones."""
        states, moves = len(self.stay), len(entries) - len(self.stay)
        whole = (entries[:states], entries[moves:])
        return (*whole, entries[states:moves]) if len(self.further) else whole

    def at_entries(self, states: Tensor) -> tuple[Tensor, ...]:
        """Return the values of states [S, U] for each of the `parts` of their entries."""
        whole = (states, states)
        return (*whole, states.index_select(0, self.further)) if len(self.further) else whole


def _sparse(
    rows: NDArray[Any],
    columns: NDArray[Any],
    values: NDArray[Any],
    shape: tuple[int, ...],
    dtype: torch.dtype,
) -> Tensor:
    places = torch.from_numpy(np.stack([rows, columns]))
    checked = check_sparse_tensor_invariants()  # type: ignore[no-untyped-call]
    with warnings.catch_warnings(), checked:
        # torch calls its compressed rows a beta; the products used here are old.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        matrix = torch.sparse_coo_tensor(places, torch.from_numpy(values).to(dtype), shape)
        return matrix.coalesce().to_sparse_csr()
