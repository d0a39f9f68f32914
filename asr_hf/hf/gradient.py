"""Computes the gradient that an iteration starts from."""

from __future__ import annotations

import math

from torch import Tensor

from asr_hf.hf.objective import LossSum, Objective, Sample
from asr_hf.runtime.errors import RunError


def mean_gradient(
    objective: Objective, theta: Tensor, sample: Sample, iteration: int
) -> tuple[LossSum, Tensor]:
    """Compute the loss and the mean gradient over a sample's frames.

    Args:
        objective: the loss.
        theta: θ [n].
        sample: the gradient sample.
        iteration: number of the iteration, from 1, for the message.

    Returns:
        The summed loss, and the gradient [n] of its mean.

    Raises:
        RunError: the loss or an entry of the gradient is not finite.
    """
    loss, gradient = objective.gradient(theta, sample)
    gradient.div_(max(1, loss.num_frames))
    if not (math.isfinite(loss.total) and objective.space.is_finite(gradient)):
        raise RunError(
            f"iteration {iteration}: the loss or its gradient is not finite "
            f"({loss.total} over {loss.num_frames} frames)",
            remedy="check the features for outliers, or lower the initial weights' scale",
        )
    return loss, gradient
