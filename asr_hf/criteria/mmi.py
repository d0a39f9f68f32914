"""Maximum mutual information."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_hf.criteria.forward_backward import ForwardBackward
from asr_hf.criteria.sequence import SequenceCriterion, SequenceTargets, occupancies


class MaximumMutualInformation(SequenceCriterion):
    """log Z - log p(reference): gradient κ (γ - e_y) at the logits (Veselý et al. 2013).

    The reference is the alignment's one path. Its graph score is a constant, and left out.

    Args:
        acoustic_scale: acoustic scale κ (see `SequenceCriterion`).
        lm_scale: language model scale ν (see `SequenceCriterion`).
        boost: score b added to arcs of a wrong phone that is no silence (Povey et al. 2008).
        drop_frames: whether frames whose reference pdf no arc has are left out of the gradient:
            there lattice and alignment contradict each other (Veselý et al. 2013). The loss still
            counts them.
        smoothing: share of frame cross-entropy (see `SequenceCriterion`).
        curvature: name of a `LatticeCurvature`.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(
        self,
        acoustic_scale: float,
        lm_scale: float = 1.0,
        boost: float = 0.0,
        drop_frames: bool = False,
        smoothing: float = 0.0,
        curvature: str = "lattice",
    ) -> None:
        super().__init__(acoustic_scale, lm_scale, smoothing, curvature)
        if boost < 0:
            raise ValueError(f"needs boost >= 0, found {boost}")
        self.boost, self.drop_frames = boost, drop_frames

    def evaluate(
        self, logits: Tensor, targets: SequenceTargets, gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        """See `SequenceCriterion`."""
        arcs, labels = targets.lattices, targets.labels.unsqueeze(1)
        paths = ForwardBackward(arcs, self.scores(logits, targets))
        reference = logits.gather(1, labels).squeeze(1).double()
        reference.sub_(targets.log_priors[targets.labels]).mul_(self.acoustic_scale)
        loss = paths.totals - torch.segment_reduce(reference, "sum", lengths=arcs.lengths)
        if not gradient:
            return loss, None
        result = occupancies(arcs, paths.posteriors, logits)
        result.scatter_add_(1, labels, result.new_full(labels.shape, -1.0))
        if self.drop_frames:
            right = arcs.pdf == targets.labels[arcs.frame]
            met = torch.zeros_like(targets.labels, dtype=torch.bool)
            met[arcs.frame[right]] = True
            result.mul_(met.unsqueeze(1))
        return loss, result.mul_(self.acoustic_scale).to(logits.dtype)

    def scores(self, logits: Tensor, targets: SequenceTargets) -> Tensor:
        """Return the scores of the arcs [A], boosted."""
        scores = super().scores(logits, targets)
        if self.boost:
            arcs = targets.lattices
            wrong = (arcs.phone != targets.phones[arcs.frame]) & ~targets.is_silence(arcs.phone)
            scores[: len(wrong)].add_(wrong, alpha=self.boost)
        return scores
