"""Draws outcomes from posteriors by given random numbers."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor


@torch.no_grad()
def sample_classes(posteriors: Tensor, uniforms: Tensor) -> Tensor:
    """Draw a class of each frame by inversion: the first whose cumulated posterior exceeds u.

    A frame's outcome depends on its own posteriors and number alone, so that a sample may be cut
    up in any way.

    Args:
        posteriors: weights of the classes [F, C], none negative.
        uniforms: number in [0, 1) of each frame [F].

    Returns:
        The classes [F, 1].
    """
    with warnings.catch_warnings():
        # CUDA scans rows in a fixed order; what torch warns of is the scan of one long vector.
        warnings.filterwarnings("ignore", message=".*cumsum.*deterministic")
        cumulated = posteriors.cumsum(dim=1)
    thresholds = uniforms.to(cumulated).unsqueeze(1) * cumulated[:, -1:]
    # Rounding may bring u to 1.
    classes = torch.searchsorted(cumulated, thresholds, right=True)
    return classes.clamp_max_(posteriors.shape[1] - 1)
