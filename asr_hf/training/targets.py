"""What a criterion is told of the frames of a batch: their labels, or labels and lattices."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from torch import Tensor

from asr_hf.hf.objective import Part
from asr_hf.training.units import UnitBatch


class TargetSource(Protocol):
    """Makes a criterion's targets."""

    # Whether they are of whole utterances, which then must not be cut up.
    whole_utterances: bool

    def utterances(self, part: Part) -> np.ndarray | None:
        """Those of the store that have targets, rising; None for all."""
        ...

    def of(self, part: Part, batch: UnitBatch) -> Any:
        """The targets of a batch of units."""
        ...


class LabelTargets:
    """The labels [F] of the frames."""

    whole_utterances = False

    def utterances(self, part: Part) -> np.ndarray | None:
        """See `TargetSource`."""
        return None

    def of(self, part: Part, batch: UnitBatch) -> Tensor:
        """See `TargetSource`."""
        return batch.labels
