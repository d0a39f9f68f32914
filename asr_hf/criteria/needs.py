"""Declares what a training criterion needs beside the model's outputs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Targets(StrEnum):
    """What the outputs are held against.

    LABELS are the pdf of each frame [F]. LATTICES are whole utterances with their labels and the
    lattices that `asr-hf lattices` makes, as `SequenceTargets`.
    """

    LABELS = "labels"
    LATTICES = "lattices"


@dataclass(frozen=True)
class CriterionNeeds:
    """What a criterion's class declares in its attribute `needs`.

    The defaults hold for a class that declares nothing.

    Args:
        targets: kind of the targets that its methods are given.
        starting_model: whether training starts from a trained model, `init_from`.
        acoustic_scale: whether it has a setting `acoustic_scale`. Left at null, the setting becomes
            the scale that the run of `init_from` decodes best with.
    """

    targets: Targets = Targets.LABELS
    starting_model: bool = False
    acoustic_scale: bool = False
