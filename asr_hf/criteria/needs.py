"""Declares what a training criterion needs beside the model's outputs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Targets(StrEnum):
    """What the outputs are held against.

    LABELS are the pdf of each frame [F]. LATTICES are whole utterances with their labels and the
    lattices that `asr-hf lattices` makes, as `SequenceTargets`. NUMERATORS are the same with graphs
    of what was said in the lattices' place, which `asr-hf align` makes with `alignment.chain`; the
    criterion's own argument `denominator` is the folder of the graph of everything.
    """

    LABELS = "labels"
    LATTICES = "lattices"
    NUMERATORS = "numerators"


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
