"""Outcomes drawn from posteriors by given random numbers."""

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
        uniforms: a number in [0, 1) for each frame [F].

    Returns:
        The classes [F, 1].
    """
    with warnings.catch_warnings():
        # CUDA scans rows in a fixed order; what torch warns of is the scan of one long vector.
        warnings.filterwarnings("ignore", message=".*cumsum.*deterministic")
        upto = posteriors.cumsum(dim=1)
    wanted = uniforms.to(upto).unsqueeze(1) * upto[:, -1:]
    # Rounding may bring u to 1.
    return torch.searchsorted(upto, wanted, right=True).clamp_max_(posteriors.shape[1] - 1)
