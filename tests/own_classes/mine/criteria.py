"""A criterion: cross-entropy against labels that are not wholly believed."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_hf.criteria.base import FrameLoss
from asr_hf.criteria.cross_entropy import CrossEntropy


class SmoothedCrossEntropy(CrossEntropy):
    """-Σ q log p with q = (1 - share) e_y + share / C: the curvature is cross-entropy's.

    Args:
        share: of the uniform distribution in the targets.
    """

    def __init__(self, share: float = 0.1) -> None:
        self.share = share

    def loss(self, logits: Tensor, labels: Tensor) -> FrameLoss:
        """Loss of logits [F, C] against labels [F]."""
        return self.loss_and_gradient(logits, labels)[0]

    @torch.no_grad()
    def loss_and_gradient(self, logits: Tensor, labels: Tensor) -> tuple[FrameLoss, Tensor]:
        """Loss, and the derivative of its sum by the logits [F, C]."""
        logs = torch.log_softmax(logits, dim=1)
        targets = torch.full_like(logs, self.share / logs.shape[1])
        targets.scatter_(1, labels.long()[:, None], 1 - self.share + self.share / logs.shape[1])
        per_frame = -(targets * logs).sum(1)
        errors = (logits.argmax(1) != labels).sum()
        loss = FrameLoss(per_frame.sum(dtype=torch.float64), errors, per_frame)
        return loss, logs.exp() - targets
