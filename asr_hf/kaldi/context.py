"""Context of frames as Kaldi's splice-feats and add-deltas make it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]


def splice_frames(features: Matrix, left: int, right: int) -> Matrix:
    """Put frames [F, D] side by side with their neighbours, the oldest first.

    Edge frames are repeated.

    Returns:
        Spliced frames [F, (left + 1 + right) * D].
    """
    frame_numbers = np.arange(len(features))[:, None] + np.arange(-left, right + 1)
    spliced: Matrix = features[frame_numbers.clip(0, len(features) - 1)].reshape(len(features), -1)
    return spliced


def add_deltas(features: Matrix, order: int, window: int) -> Matrix:
    """Append to features [F, D] their differences of every order up to `order`.

    Differences of higher orders come from one wide window over the features, whose edge frames
    are repeated, and not from differences (kaldi/src/feat/feature-functions.cc).

    Returns:
        Features and differences [F, (order + 1) * D].
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
