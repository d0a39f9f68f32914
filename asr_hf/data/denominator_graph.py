"""The denominator of lattice-free MMI: an HMM over everything that might have been said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.arrays import load_array
from asr_hf.data.header import Header
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_json

FORMAT = "asr-hf-denominator-1"
HEADER = "denominator.json"
ARC = np.dtype(
    [("source", "<i4"), ("target", "<i4"), ("pdf", "<i4"), ("phone", "<i4"), ("weight", "<f8")]
)
# A file may come from anywhere; more than this is no phone language model.
_MOST = 1 << 26
_ROUNDING = 1e-6


@dataclass(frozen=True)
class DenominatorGraph:
    """A cyclic HMM, each arc of which takes a frame; a path may end in any state.

    Args:
        arcs: arcs [A] of dtype `ARC`: states, pdf, the phone that begins (0 where one goes on), and
            the probability.
        initial: probability of each state before the first frame [S], float64.
        num_pdfs: number of pdfs.
    """

    arcs: NDArray[Any]
    initial: NDArray[np.float64]
    num_pdfs: int

    @property
    def num_states(self) -> int:
        """The number of states."""
        return len(self.initial)

    def save(self, folder: Path) -> None:
        """Write the graph into a folder."""
        np.save(folder / "arcs.npy", self.arcs.astype(ARC), allow_pickle=False)
        np.save(folder / "initial.npy", self.initial.astype(np.float64), allow_pickle=False)
        counts = {"states": self.num_states, "arcs": len(self.arcs), "pdfs": self.num_pdfs}
        write_json(folder / HEADER, {"format": FORMAT, **counts})

    @classmethod
    def load(cls, folder: Path, remedy: str) -> DenominatorGraph:
        """Read a graph.

        Args:
            folder: folder that `save` wrote into.
            remedy: command that makes it, for messages.

        Returns:
            The graph.

        Raises:
            InputError: there is none, or it is damaged.
        """
        if not (folder / HEADER).is_file():
            raise InputError(
                f"{folder}: no denominator graph",
                expected=f"{HEADER}, arcs.npy and initial.npy",
                remedy=remedy,
            )
        header = Header.read(folder / HEADER, FORMAT, remedy)
        states, arcs, pdfs = (header.count(key, 1, _MOST) for key in ("states", "arcs", "pdfs"))
        graph = cls(
            load_array(folder / "arcs.npy", ARC, (arcs,), remedy),
            load_array(folder / "initial.npy", np.dtype(np.float64), (states,), remedy),
            pdfs,
        )
        for is_wrong, fault in graph._faults():
            if is_wrong:
                raise InputError(f"{folder}: bad denominator graph: {fault}", remedy=remedy)
        return graph

    def _faults(self) -> list[tuple[bool, str]]:
        """Return what may be wrong with it, each with whether it is."""
        arcs, initial, states = self.arcs, self.initial, self.num_states
        places = np.stack([arcs["source"], arcs["target"]])
        if not ((places >= 0) & (places < states)).all():
            return [(True, "a state's number is out of range")]
        if not ((arcs["pdf"] >= 0) & (arcs["pdf"] < self.num_pdfs)).all():
            return [(True, "a pdf's number is out of range")]
        weights = arcs["weight"]
        leaving = np.bincount(arcs["source"], weights, states)
        return [
            (
                not (np.isfinite(weights).all() and (weights > 0).all()),
                "a weight is no probability",
            ),
            (not (leaving <= 1 + _ROUNDING).all(), "the arcs of a state add up to more than 1"),
            (
                not (np.isfinite(initial).all() and (initial >= 0).all()),
                "a start has no probability",
            ),
            (not abs(initial.sum() - 1) <= _ROUNDING, "the starts do not add up to 1"),
        ]
