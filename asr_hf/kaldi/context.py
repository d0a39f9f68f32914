"""What Kaldi's splice-feats and add-deltas make of features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]


def splice_frames(features: Matrix, left: int, right: int) -> Matrix:
    """Frames [F, D] with their neighbours [F, (left + 1 + right) * D], the oldest first.

    Edge frames are repeated.
    """
    at = np.arange(len(features))[:, None] + np.arange(-left, right + 1)
    spliced: Matrix = features[at.clip(0, len(features) - 1)].reshape(len(features), -1)
    return spliced


def add_deltas(features: Matrix, order: int, window: int) -> Matrix:
    """Features [F, D] and their differences of every order up to `order`: [F, (order + 1) * D].

    Differences of higher orders come from one wide window over the features, whose edge frames
    are repeated, and not from differences (kaldi/src/feat/feature-functions.cc).
    """
    slope = np.arange(-window, window + 1) / max(1, 2 * sum(n * n for n in range(1, window + 1)))
    weights, parts, at = np.ones(1), [features], np.arange(len(features))
    for _ in range(order):
        weights = np.convolve(weights, slope)
        part = np.zeros(features.shape)
        for offset, weight in enumerate(weights, start=-(len(weights) // 2)):
            part += weight * features[(at + offset).clip(0, len(features) - 1)]
        parts.append(part)
    return np.concatenate(parts, axis=1).astype(np.float32)
