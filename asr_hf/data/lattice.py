"""The lattice of one utterance, whose states are numbered in topological order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.runtime.errors import InputError

# label: transition id, 0 for an arc that takes no frame; word: word id, 0 for none; graph and
# acoustic: natural logarithms of scores, the acoustic score unscaled.
ARC = np.dtype(
    [
        ("source", "<i4"),
        ("target", "<i4"),
        ("label", "<i4"),
        ("word", "<i4"),
        ("graph", "<f4"),
        ("acoustic", "<f4"),
    ]
)
FINAL = np.dtype([("state", "<i4"), ("graph", "<f4")])

_REMEDY = "make the lattices again with: asr-hf lattices"


@dataclass(frozen=True)
class Lattice:
    """An acyclic graph, each path of which is a hypothesis of one utterance.

    State 0 is the start; every state lies on a path from the start to a final state.

    Args:
        utterance: name of the utterance.
        arcs: arcs [A] of dtype `ARC`, ordered by source state; source < target.
        frame_of: number of frames before each state [S], int32; it rises with the state's number.
        finals: final states [K] of dtype `FINAL`, all behind the last frame.
    """

    utterance: str
    arcs: NDArray[Any]
    frame_of: NDArray[np.int32]
    finals: NDArray[Any]

    @property
    def num_frames(self) -> int:
        """The number of frames of the utterance."""
        return int(self.frame_of[-1])

    @property
    def num_states(self) -> int:
        """The number of states."""
        return len(self.frame_of)

    def check(self, num_labels: int) -> None:
        """Refuse a lattice that is not as described above.

        Args:
            num_labels: largest transition id.

        Raises:
            InputError: the lattice is wrong; the message names the utterance and the fault.
        """
        for is_wrong, fault in self._faults(num_labels):
            if is_wrong:
                raise InputError(
                    f"{self.utterance}: bad lattice: {fault}",
                    expected="states in topological order, each on a path to the last frame",
                    remedy=_REMEDY,
                )

    def _faults(self, num_labels: int) -> list[tuple[bool, str]]:
        states, arcs, finals = self.num_states, self.arcs, self.finals
        if not states or not len(arcs) or not len(finals):
            return [(True, f"{states} states, {len(arcs)} arcs, {len(finals)} final states")]
        source, target, label = (
            arcs[name].astype(np.int64) for name in ("source", "target", "label")
        )
        ends = finals["state"]
        if any(x.min() < 0 or x.max() >= states for x in (source, target, ends)):
            return [(True, "a state's number is out of range")]
        scores = (arcs["graph"], arcs["acoustic"], finals["graph"])
        steps = self.frame_of[target] - self.frame_of[source]
        entered, left = np.zeros(states, bool), np.zeros(states, bool)
        entered[target], entered[0] = True, True
        left[source], left[ends] = True, True
        return [
            (bool((source >= target).any()), "an arc leads backwards"),
            (bool((np.diff(source) < 0).any()), "arcs are not ordered by their source"),
            (bool((label < 0).any() or (label > num_labels).any()), "unknown transition id"),
            (self.frame_of[0] != 0, "the start is not before the first frame"),
            (bool((np.diff(self.frame_of) < 0).any()), "states are not ordered by frame"),
            (bool((steps != (label > 0)).any()), "an arc does not fit the frames it joins"),
            (bool((self.frame_of[ends] != self.num_frames).any()), "a path ends too early"),
            (not entered.all() or not left.all(), "a state lies on no path"),
            (not all(np.isfinite(x).all() for x in scores), "a score is not finite"),
        ]
