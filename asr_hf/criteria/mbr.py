"""Minimum Bayes risk over frames: sMBR and MPFE."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor

from asr_hf.criteria.forward_backward import ForwardBackward
from asr_hf.criteria.sequence import SequenceCriterion, SequenceTargets, occupancies


class Level(StrEnum):
    """The class that a frame has to get right."""

    PDF = "pdf"
    PHONE = "phone"


class MinimumBayesRisk(SequenceCriterion):
    """Expected number of wrong frames over the paths of a lattice.

    With c(q) the expected number of right frames over the paths through arc q and A that over all
    paths, the derivative by the arc's score is -γ(q) (c(q) - A) (Gibson & Hain 2006; Kingsbury
    2009).

    Args:
        acoustic_scale: acoustic scale κ (see `SequenceCriterion`).
        level: PDF makes it sMBR, PHONE makes it MPFE.
        one_silence_class: whether a frame is right where it and its reference are silence of any
            kind; otherwise frames whose reference is silence are always wrong.
        lm_scale: language model scale ν (see `SequenceCriterion`).
        smoothing: share of frame cross-entropy (see `SequenceCriterion`).
        curvature: name of a `LatticeCurvature`; the Hessian of the loss itself is indefinite.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(
        self,
        acoustic_scale: float,
        level: str = "pdf",
        one_silence_class: bool = True,
        lm_scale: float = 1.0,
        smoothing: float = 0.0,
        curvature: str = "lattice",
    ) -> None:
        super().__init__(acoustic_scale, lm_scale, smoothing, curvature)
        self.level, self.one_silence_class = Level(level), one_silence_class

    def evaluate(
        self, logits: Tensor, targets: SequenceTargets, gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        """See `SequenceCriterion`."""
        arcs = targets.lattices
        paths = ForwardBackward(arcs, self.scores(logits, targets))
        right = torch.zeros_like(arcs.graph)
        right[: len(arcs.frame)] = self.accuracy(targets).double()
        change, expected = paths.tangent(right)
        loss = arcs.lengths - expected
        if not gradient:
            return loss, None
        result = occupancies(arcs, change, logits)
        return loss, result.mul_(-self.acoustic_scale).to(logits.dtype)

    def accuracy(self, targets: SequenceTargets) -> Tensor:
        """Say which of the arcs that take a frame get it right [E], bool."""
        arcs = targets.lattices
        of_frame = targets.phones[arcs.frame]
        if self.level is Level.PDF:
            same = arcs.pdf == targets.labels[arcs.frame]
        else:
            same = arcs.phone == of_frame
        silent = targets.is_silence(of_frame)
        if self.one_silence_class:
            return same | (silent & targets.is_silence(arcs.phone))
        return same & ~silent
