"""Diagonal-covariance Gaussian mixtures, one a pdf: EM statistics, splitting, files."""

from __future__ import annotations

import heapq
import os
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.arrays import array_of
from asr_hf.hmm.gmm.gmm_scorer import GmmScorer
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path

Array = NDArray[np.floating[Any]]

VARIANCE_FLOOR = 0.01
MIN_OCCUPANCY = 10.0
SPLIT_MIN_OCCUPANCY = 20.0
SPLIT_POWER = 0.2
SPLIT_STEP = 0.1


@dataclass
class Gmm:
    """The mixtures of all pdfs, their Gaussians one after another.

    Attributes:
        starts: first Gaussians, int64 [pdfs + 1]; pdf p has starts[p] to starts[p+1] - 1.
        weights: weights, float64 [gaussians]; those of a pdf add up to one.
        means, variances: float64 [gaussians, dim].
    """

    starts: NDArray[np.int64]
    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]

    @classmethod
    def single(cls, mean: Array, variance: Array, num_pdfs: int) -> Gmm:
        """Give every pdf one Gaussian with `mean` and `variance` [dim]."""
        return cls(
            np.arange(num_pdfs + 1, dtype=np.int64),
            np.ones(num_pdfs),
            np.tile(np.asarray(mean, np.float64), (num_pdfs, 1)),
            np.tile(np.asarray(variance, np.float64), (num_pdfs, 1)),
        )

    @property
    def num_pdfs(self) -> int:
        """The number of mixtures."""
        return len(self.starts) - 1

    @property
    def num_gaussians(self) -> int:
        """The number of Gaussians in all mixtures."""
        return len(self.weights)

    def _expanded(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rewrite log N(x) = x · mean/var - x² · 1/(2 var) + constant.

        Returns:
            A matrix to multiply [x, x²] with [gaussians, 2 dim], and the constants [gaussians].
        """
        precision = 1 / self.variances
        matrix = np.concatenate([self.means * precision, -0.5 * precision], axis=1)
        constants = np.log(self.weights) - 0.5 * (
            np.log(2 * np.pi * self.variances) + self.means**2 * precision
        ).sum(axis=1)
        return matrix.astype(np.float32), constants.astype(np.float32)

    def scorer(self) -> GmmScorer:
        """Make the mixtures ready for scoring many utterances."""
        return GmmScorer(*self._expanded(), self.starts)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the mixtures as npz."""
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            np.savez(
                stream,
                starts=self.starts,
                weights=self.weights,
                means=self.means,
                variances=self.variances,
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Gmm:
        """Read mixtures written by `save`.

        Returns:
            The mixtures.

        Raises:
            InputError: the file is missing or damaged.
        """
        try:
            gmm = cls(*_arrays(Path(path)))
            gmm._check()
        except Exception as error:  # zipfile and numpy meet bad bytes with any of a dozen
            raise InputError(
                f"{path}: cannot be read: {error!r}", remedy="remove it and run asr-hf align again"
            ) from error
        return gmm

    def _check(self) -> None:
        if len(self.starts) < 2 or self.starts[0] or (np.diff(self.starts) < 1).any():
            raise ValueError("its pdfs do not begin one after another")
        rows, dim = int(self.starts[-1]), self.means.shape[-1]
        for array, shape in (
            (self.weights, (rows,)),
            (self.means, (rows, dim)),
            (self.variances, (rows, dim)),
        ):
            if array.shape != shape or not np.isfinite(array).all():
                raise ValueError(f"an array of {array.shape}, expected finite numbers of {shape}")
        if (self.weights <= 0).any() or (self.variances <= 0).any():
            raise ValueError("a weight or variance is not positive")


def _arrays(path: Path) -> list[NDArray[Any]]:
    """Read the arrays of an npz.

    None may be larger than the file: numpy takes memory for what headers declare.

    Returns:
        The arrays of a `Gmm`, in their order.

    Raises:
        ValueError: the arrays would be larger than the file.
    """
    content = path.read_bytes()
    with zipfile.ZipFile(BytesIO(content)) as packed:
        names = [f"{name}.npy" for name in ("starts", "weights", "means", "variances")]
        sizes = [packed.getinfo(name).file_size for name in names]
        if sum(sizes) > len(content):
            raise ValueError(f"arrays of {sum(sizes)} bytes")
        return [array_of(packed.read(name)) for name in names]


def em_step(
    gmm: Gmm,
    features: Array,
    order: NDArray[np.int64],
    bounds: NDArray[np.int64],
    floor: Array,
) -> tuple[Gmm, NDArray[np.float64], float]:
    """Do one EM step with a fixed assignment of frames to pdfs.

    Gaussians with fewer than 10 frames are dropped unless they are their pdf's last; a pdf
    without enough frames stays as it is.

    Args:
        gmm: the mixtures.
        features: features of the whole set [frames, dim].
        order: frame numbers sorted by pdf.
        bounds: offsets [pdfs + 1]; frames order[bounds[p]:bounds[p+1]] belong to pdf p.
        floor: smallest variance [dim].

    Returns:
        The new mixtures, the occupancy of each of their Gaussians [gaussians], and the mean log
        likelihood of a frame under the old mixtures.
    """
    matrix, constants = gmm._expanded()
    estimates: list[tuple[Array, Array, Array]] = []
    counts: list[int] = []
    occupancies: list[Array] = []
    total = 0.0
    for pdf in range(gmm.num_pdfs):
        gaussians = slice(gmm.starts[pdf], gmm.starts[pdf + 1])
        x = features[order[bounds[pdf] : bounds[pdf + 1]]].astype(np.float64)
        old = gmm.weights[gaussians], gmm.means[gaussians], gmm.variances[gaussians]
        if len(x) < MIN_OCCUPANCY:
            estimates.append(old)
            occupancies.append(old[0] * len(x))
        else:
            squares = np.concatenate([x, x * x], axis=1)
            scores = squares @ matrix[gaussians].T + constants[gaussians]
            largest = scores.max(axis=1, keepdims=True)
            posteriors = np.exp(scores - largest)
            norm = posteriors.sum(axis=1, keepdims=True)
            total += float((np.log(norm) + largest).sum())
            posteriors /= norm
            new, occupancy = _maximise(posteriors, squares, floor)
            estimates.append(new)
            occupancies.append(occupancy)
        counts.append(len(estimates[-1][0]))
    updated = Gmm(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        *(np.concatenate(columns) for columns in zip(*estimates, strict=True)),
    )
    return updated, np.concatenate(occupancies), total / max(1, int(bounds[-1]))


def _maximise(
    posteriors: Array, squares: Array, floor: Array
) -> tuple[tuple[Array, Array, Array], Array]:
    """Estimate weights, means and variances from posteriors [frames, gaussians] of [x, x²]."""
    occupancy = posteriors.sum(axis=0)
    surviving = np.flatnonzero(occupancy >= MIN_OCCUPANCY)
    if not len(surviving):
        surviving = np.asarray([int(occupancy.argmax())])
    occupancy = occupancy[surviving]
    moments = (posteriors[:, surviving].T @ squares) / occupancy[:, None]
    dim = squares.shape[1] // 2
    means = moments[:, :dim]
    variances = np.maximum(moments[:, dim:] - means**2, floor)
    return (occupancy / occupancy.sum(), means, variances), occupancy


def split_targets(occupancy: Array, counts: NDArray[np.int64], target: int) -> NDArray[np.int64]:
    """Decide how many Gaussians each pdf should have.

    One Gaussian at a time goes to the pdf with the largest occupancy^0.2 a Gaussian, as in Kaldi,
    among those that keep 20 frames a Gaussian.

    Args:
        occupancy: number of frames of each pdf [pdfs].
        counts: current number of Gaussians of each pdf [pdfs].
        target: total number of Gaussians to reach.

    Returns:
        The number of Gaussians of each pdf [pdfs].
    """
    targets = counts.copy()
    queue = [(-(occupancy[p] ** SPLIT_POWER) / targets[p], p) for p in range(len(targets))]
    heapq.heapify(queue)
    total = int(targets.sum())
    while total < target and queue:
        _, pdf = heapq.heappop(queue)
        if occupancy[pdf] / (targets[pdf] + 1) < SPLIT_MIN_OCCUPANCY:
            continue
        targets[pdf] += 1
        total += 1
        heapq.heappush(queue, (-(occupancy[pdf] ** SPLIT_POWER) / targets[pdf], pdf))
    return targets


def split(gmm: Gmm, occupancy: Array, target: int, random: np.random.Generator) -> Gmm:
    """Split the heaviest Gaussians until there are `target` of them, or too few frames.

    A Gaussian becomes two of half its weight, their means moved apart by a random 0.1 of its
    standard deviation.

    Args:
        gmm: the mixtures.
        occupancy: number of frames of each Gaussian [gaussians].
        target: number of Gaussians to reach in all.
        random: generator of the perturbations.

    Returns:
        The grown mixtures.
    """
    pdf_occupancy = np.add.reduceat(occupancy, gmm.starts[:-1])
    targets = split_targets(pdf_occupancy, np.diff(gmm.starts), target)
    weights, means, variances = [], [], []
    for pdf in range(gmm.num_pdfs):
        gaussians = slice(gmm.starts[pdf], gmm.starts[pdf + 1])
        w, m, v = (
            list(gmm.weights[gaussians]),
            list(gmm.means[gaussians]),
            list(gmm.variances[gaussians]),
        )
        while len(w) < targets[pdf]:
            heaviest = int(np.argmax(w))
            step = SPLIT_STEP * np.sqrt(v[heaviest]) * random.standard_normal(len(v[heaviest]))
            w[heaviest] /= 2
            w.append(w[heaviest])
            m.append(m[heaviest] + step)
            m[heaviest] = m[heaviest] - step
            v.append(v[heaviest])
        weights += w
        means += m
        variances += v
    starts = np.concatenate([[0], np.cumsum(targets)]).astype(np.int64)
    return Gmm(starts, np.asarray(weights), np.asarray(means), np.asarray(variances))
