"""Says what the loss of each criterion counts, for axes and cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LossKind:
    """What a loss counts.

    Args:
        name: its name on an axis, without the unit.
        unit: unit of the loss of a frame; empty for shares and for losses that are not known.
    """

    name: str
    unit: str = ""

    @property
    def axis(self) -> str:
        """Label of an axis, with the unit."""
        return f"{self.name} ({self.unit} a frame)" if self.unit else self.name


# Criteria of classes that are no part of asr-hf.
UNKNOWN = LossKind("loss of a frame")
CROSS_ENTROPY = LossKind("cross-entropy", "nats")

_PDFS = LossKind("expected share of wrong frames")
_PHONES = LossKind("expected share of frames in a wrong phone")
_KNOWN = {
    "asr_hf.criteria.cross_entropy.CrossEntropy": CROSS_ENTROPY,
    "asr_hf.criteria.mmi.MaximumMutualInformation": LossKind("MMI loss", "nats"),
    "asr_hf.criteria.lattice_free.LatticeFreeMMI": LossKind("LF-MMI loss", "nats"),
    "asr_hf.criteria.mbr.MinimumBayesRisk": _PDFS,
}


def loss_of(config: Mapping[str, Any]) -> LossKind:
    """Return what a run's loss counts.

    MMI and LF-MMI are differences of natural logarithms. sMBR and MPFE count frames: their loss is
    a share of all frames and has no unit.

    Args:
        config: resolved configuration of the run.

    Returns:
        What its loss counts, `UNKNOWN` where that cannot be told.
    """
    criterion = config.get("criterion")
    if not isinstance(criterion, Mapping):
        return UNKNOWN
    found = _KNOWN.get(str(criterion.get("_target_")))
    if found is None:
        return UNKNOWN
    if found is _PDFS and criterion.get("level") == "phone":
        found = _PHONES
    return _mixed(found, criterion)


def _mixed(loss: LossKind, criterion: Mapping[str, Any]) -> LossKind:
    """Name the cross-entropy that a criterion adds to its own loss."""
    smoothing, weight = (criterion.get(key) for key in ("smoothing", "cross_entropy"))
    if isinstance(smoothing, float) and smoothing > 0:
        name = f"{1 - smoothing:g} × {loss.name} + {smoothing:g} × cross-entropy"
        return LossKind(name, loss.unit)
    if isinstance(weight, float) and weight > 0:
        return LossKind(f"{loss.name} + {weight:g} × cross-entropy", loss.unit)
    return loss
