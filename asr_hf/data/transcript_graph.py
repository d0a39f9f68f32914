"""The numerator of lattice-free MMI without an alignment: an HMM over what a transcript says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.runtime.errors import InputError

# weight: probability.
ARC = np.dtype([("source", "<i4"), ("target", "<i4"), ("weight", "<f8")])
# first: pdf of the frame that enters the state; rest: pdf of the frames that stay there; stay:
# probability of each of these; final: 1 where the last frame may be, else 0.
STATE = np.dtype([("first", "<i4"), ("rest", "<i4"), ("stay", "<f8"), ("final", "<i4")])

_REMEDY = "asr-hf align with the same overrides makes it again"


@dataclass(frozen=True)
class TranscriptGraph:
    """An HMM each path of which is a way to say one utterance.

    A path starts before the first frame in state 0, which no arc enters and no frame stays in. Each
    frame takes an arc, or stays where the frame before was.

    Args:
        utterance: name of the utterance.
        arcs: arcs [A] of dtype `ARC`; source < target.
        states: states [S] of dtype `STATE`.
        num_frames: number of frames of the utterance.
    """

    utterance: str
    arcs: NDArray[Any]
    states: NDArray[Any]
    num_frames: int

    @property
    def least_frames(self) -> int:
        """The number of frames of the shortest path."""
        least = [0] + [len(self.states)] * (len(self.states) - 1)
        for source, target in sorted(zip(*self._ends, strict=True)):
            least[target] = min(least[target], least[source] + 1)
        return min(least[state] for state in np.flatnonzero(self.states["final"]).tolist())

    @property
    def _ends(self) -> tuple[list[int], list[int]]:
        return self.arcs["source"].tolist(), self.arcs["target"].tolist()

    def check(self, num_pdfs: int) -> None:
        """Refuse a graph that is not as described above.

        Args:
            num_pdfs: number of pdfs.

        Raises:
            InputError: the graph is wrong; the message names the utterance and the fault.
        """
        for is_wrong, fault in self._faults(num_pdfs):
            if is_wrong:
                raise InputError(
                    f"{self.utterance}: bad graph of a transcript: {fault}",
                    expected="states in topological order, with probabilities and pdfs",
                    remedy=_REMEDY,
                )

    def _faults(self, num_pdfs: int) -> list[tuple[bool, str]]:
        arcs, states = self.arcs, self.states
        if not len(arcs) or not len(states) or not states["final"].any():
            return [(True, f"{len(states)} states and {len(arcs)} arcs, or no last state")]
        source, target, weight = (arcs[key] for key in ("source", "target", "weight"))
        stay = states["stay"]
        pdfs = np.stack([states["first"], states["rest"]])[:, 1:]
        probable = (weight > 0) & (weight <= 1)
        return [
            (bool((source < 0).any() or (target >= len(states)).any()), "a state is out of range"),
            (bool((source >= target).any()), "an arc leads backwards"),
            (bool((pdfs < 0).any() or (pdfs >= num_pdfs).any()), "a pdf is out of range"),
            (not probable.all(), "the weight of an arc is no probability"),
            (not ((stay >= 0) & (stay <= 1)).all(), "the weight of a state is no probability"),
            (bool(stay[0] or states["final"][0]), "a frame may be in the start"),
        ]
