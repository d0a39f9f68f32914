"""Cepstra for the GMM flat start, made from stored log-mel filterbanks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

NUM_CEPSTRA = 13
DELTA_WINDOW = 2


def cepstra(fbank: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute cepstral coefficients 0-12 with first and second differences.

    Diagonal Gaussians need inputs with little correlation. Log-mel bins are strongly correlated;
    a DCT-II of them, and regression over two frames to each side, are hardly so (Davis and
    Mermelstein 1980).

    Args:
        fbank: log-mel energies [frames, bins].

    Returns:
        Cepstra [frames, 39]; fewer columns when there are less than 13 bins.
    """
    static = dct(np.asarray(fbank, np.float64), type=2, norm="ortho", axis=1)[:, :NUM_CEPSTRA]
    first = _delta(static)
    return np.concatenate([static, first, _delta(first)], axis=1).astype(np.float32)


def _delta(x: NDArray[np.float64]) -> NDArray[np.float64]:
    num_frames = len(x)
    padded = np.pad(x, ((DELTA_WINDOW, DELTA_WINDOW), (0, 0)), mode="edge")
    total = np.zeros_like(x)
    for n in range(1, DELTA_WINDOW + 1):
        ahead = padded[DELTA_WINDOW + n : DELTA_WINDOW + n + num_frames]
        behind = padded[DELTA_WINDOW - n : DELTA_WINDOW - n + num_frames]
        total += n * (ahead - behind)
    return total / (2 * sum(n * n for n in range(1, DELTA_WINDOW + 1)))


def normalise(
    features: Mapping[str, NDArray[np.float32]], speakers: Mapping[str, str]
) -> dict[str, NDArray[np.float32]]:
    """Give each speaker's frames zero mean and unit variance in every dimension.

    Args:
        features: features [frames, dim] by utterance.
        speakers: the speaker of each utterance.

    Returns:
        Normalised features [frames, dim] by utterance, in the order they came.
    """
    members: dict[str, list[str]] = {}
    for utterance in features:
        members.setdefault(speakers[utterance], []).append(utterance)
    normalised = {}
    for utterances in members.values():
        stacked = np.concatenate([features[u] for u in utterances]).astype(np.float64)
        mean, deviation = stacked.mean(axis=0), np.maximum(stacked.std(axis=0), 1e-5)
        for utterance in utterances:
            normalised[utterance] = ((features[utterance] - mean) / deviation).astype(np.float32)
    return {utterance: normalised[utterance] for utterance in features}
