"""Frame-level cross-entropy with a softmax."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_hf.criteria.base import FrameLoss
from asr_hf.criteria.sample_classes import sample_classes


class CrossEntropy:
    """-log p_y, p = softmax(z): gradient p - e_y, curvature diag(p) - p p' (Schraudolph 2002).

    Logits of less than float32 are widened first; sums are in float64. Nothing here records a
    graph: gradients at the logits are handed to `backward` explicitly.
    """

    def loss(self, logits: Tensor, labels: Tensor) -> FrameLoss:
        """Return the loss of logits [F, C] against labels [F] (any integer type)."""
        return _evaluate(logits, labels.long())[0]

    def gradient(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the derivative of the summed loss by the logits [F, C], in their dtype."""
        return self.loss_and_gradient(logits, labels)[1]

    def loss_and_gradient(self, logits: Tensor, labels: Tensor) -> tuple[FrameLoss, Tensor]:
        """Return the loss and the derivative of its sum [F, C], from one softmax."""
        labels = labels.long()
        loss, gradient = _evaluate(logits, labels)
        rows = labels.unsqueeze(1)
        gradient.scatter_add_(1, rows, gradient.new_full(rows.shape, -1.0))
        return loss, gradient.to(logits.dtype)

    @torch.no_grad()
    def sampled_gradient(self, logits: Tensor, labels: Tensor, uniforms: Tensor) -> Tensor:
        """Return p - e_y with y drawn from p (Martens & Grosse 2015, section 5).

        Args:
            logits: outputs of the model [F, C].
            labels: labels of the frames, which have no part in it.
            uniforms: numbers in [0, 1) that fix the draws [F, 2].

        Returns:
            The derivative for the drawn labels [F, C], in the logits' dtype.
        """
        gradient = _softmax(logits)
        drawn = sample_classes(gradient, uniforms[:, 0])
        ones = gradient.new_full(drawn.shape, -1.0)
        return gradient.scatter_add_(1, drawn, ones).to(logits.dtype)

    def curvature(self, logits: Tensor, labels: Tensor | None = None) -> CategoricalCurvature:
        """Return the curvature of the summed loss at logits [F, C]; labels have no part in it."""
        return CategoricalCurvature(_softmax(logits.detach()))


class CategoricalCurvature:
    """u -> (diag(p) - p p') u for each frame.

    Args:
        posteriors: posteriors p [F, C], which are kept.
    """

    def __init__(self, posteriors: Tensor) -> None:
        self._posteriors = posteriors

    @torch.no_grad()
    def __call__(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return H u [F, C] of u [F, C], in `out` if given; `out` may be `vector` itself."""
        out = torch.empty_like(vector) if out is None else out
        torch.mul(self._posteriors, vector, out=out)
        means = out.sum(dim=1, keepdim=True, dtype=self._posteriors.dtype)
        return out.addcmul_(self._posteriors, means, value=-1.0)


def _softmax(logits: Tensor) -> Tensor:
    return torch.softmax(logits, dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))


@torch.no_grad()
def _evaluate(logits: Tensor, labels: Tensor) -> tuple[FrameLoss, Tensor]:
    """Compute the loss and the posteriors.

    log p_y = z_y - z_b + log p_b, b the most probable class: p_b >= 1/C, so its logarithm is
    exact to rounding, where log p_y itself would overflow once p_y underflows.

    Returns:
        The loss and the posteriors [F, C].
    """
    posteriors = _softmax(logits)
    top, best = logits.max(dim=1)
    label_scores = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    below_top = top.to(posteriors.dtype) - label_scores
    per_frame = below_top - posteriors.gather(1, best.unsqueeze(1)).squeeze(1).log()
    total, errors = per_frame.sum(dtype=torch.float64), (best != labels).sum()
    return FrameLoss(total, errors, per_frame), posteriors
