"""Log likelihoods of frames under many Gaussian mixtures at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class GmmScorer:
    """Scores all pdfs by a matrix product with [x, x²]."""

    matrix: NDArray[np.float32]
    constants: NDArray[np.float32]
    starts: NDArray[np.int64]

    def log_likelihoods(
        self, features: Array, pdfs: NDArray[np.int32] | None = None
    ) -> NDArray[np.float32]:
        """Score each frame under each pdf.

        Args:
            features: features [frames, dim].
            pdfs: pdfs to score, ascending; None for all.

        Returns:
            Log likelihoods [frames, pdfs of the model]; 0 for the pdfs that are not in `pdfs`.
        """
        x = np.asarray(features, np.float32)
        squares = np.concatenate([x, x * x], axis=1).T
        chosen = np.arange(len(self.starts) - 1) if pdfs is None else pdfs
        scores = np.zeros((len(x), len(self.starts) - 1), np.float32)
        scores[:, chosen] = self._mixtures(squares, chosen).T
        return scores

    def _mixtures(self, squares: Array, pdfs: NDArray[Any]) -> NDArray[np.float32]:
        """Compute log likelihoods of the mixtures of `pdfs`.

        The first Gaussians of all mixtures lie one after another, then the second ones and so on,
        larger mixtures before smaller ones, so that whole blocks are added to the first.

        Args:
            squares: [x, x²] of each frame [2 dim, frames].
            pdfs: the pdfs to score.

        Returns:
            Log likelihoods [pdfs, frames].
        """
        counts = np.diff(self.starts)[pdfs]
        falling = np.argsort(-counts, kind="stable")
        firsts = self.starts[:-1][pdfs[falling]]
        sizes = [int((counts > k).sum()) for k in range(counts.max())]
        rows = np.concatenate([firsts[:size] + k for k, size in enumerate(sizes)])
        scores = self.matrix[rows] @ squares
        scores += self.constants[rows, None]
        blocks = np.split(scores, np.cumsum(sizes)[:-1])
        largest = blocks[0].copy()
        for block in blocks[1:]:
            part = largest[: len(block)]
            np.maximum(part, block, out=part)
        for block in blocks:
            block -= largest[: len(block)]
        np.exp(scores, out=scores)
        total = blocks[0]
        for block in blocks[1:]:
            total[: len(block)] += block
        log_likelihoods = np.empty_like(total)
        log_likelihoods[falling] = np.log(total) + largest
        return log_likelihoods
