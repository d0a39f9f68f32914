"""What both sides compute: graphs and outputs, and what each side makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.denominator_graph import DenominatorGraph
from asr_hf.data.lattice import Lattice


@dataclass(frozen=True)
class Case:
    """Sequences of equal length, as Kaldi trains on them.

    Args:
        graph: the denominator.
        numerators: what was said in each of N sequences of T frames; the labels are pdfs, from 1.
        outputs: outputs of a network [N, T, C].
        leak: weight η of leaps.
        output_decay: weight ρ of the squared outputs.
    """

    graph: DenominatorGraph
    numerators: Sequence[Lattice]
    outputs: NDArray[np.float32]
    leak: float
    output_decay: float

    @property
    def sequences(self) -> int:
        """N."""
        return len(self.outputs)

    @property
    def frames(self) -> int:
        """T."""
        return int(self.outputs.shape[1])


@dataclass(frozen=True)
class Chain:
    """What one side makes of a case; sums over its sequences, as Kaldi defines them.

    Args:
        initial: probability of each state before the first frame [S].
        log_z: log weight of all paths through the denominator.
        occupancies: derivative of `log_z` by the outputs [N, T, C].
        objective: log weight of the numerators' paths less `log_z`, less ½ρ‖z‖².
        derivative: derivative of the objective by the outputs [N, T, C].
    """

    initial: NDArray[Any]
    log_z: float
    occupancies: NDArray[Any]
    objective: float
    derivative: NDArray[Any]


def differences(one: Chain, other: Chain) -> dict[str, float]:
    """Compare two sides.

    Returns:
        The relative differences of totals, and the largest absolute ones of arrays.
    """
    totals = {
        key: abs(getattr(one, key) - getattr(other, key)) / abs(getattr(other, key))
        for key in ("log_z", "objective")
    }
    arrays = {
        key: float(np.abs(getattr(one, key) - getattr(other, key)).max())
        for key in ("initial", "occupancies", "derivative")
    }
    return totals | arrays
