"""Measures the Fisher matrix of a trained network on frames of a store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor

from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.curvature.kronecker import KroneckerFactor
from asr_hf.data.store import FrameStore
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.preconditioners.kfac import FisherFactors
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import InputError
from asr_hf.training.frame_objective import FrameObjective

# Frames farther apart tell hardly more, and cost the reading of more utterances.
_FARTHEST = 32
# More outputs than that, and the last layer's B is taken as diagonal: it would be larger than the
# layer's weights.
_MOST_OUTPUTS = 4000


def measure_fisher(
    model: AcousticModel, store: FrameStore, num_frames: int, seed: int, chunk_frames: int
) -> tuple[dict[str, KroneckerFactor], int]:
    """Measure the Fisher matrix of a network, a Kronecker product for each of its affine layers.

    Labels are drawn from the network (see `FisherFactors`); those of the store have no part in it.
    Dropout drops nothing, and batch normalisation is by the network's own statistics.

    Args:
        model: the network, on the device to compute on.
        store: frames that the network was trained on.
        num_frames: about how many frames are taken; all where there are no more.
        seed: seed of the frames and of their labels.
        chunk_frames: bound on the number of frames that are read at once.

    Returns:
        A and B of each layer by its name, per frame; and the number of frames taken.

    Raises:
        InputError: the store is damaged, or the network has no such layer or uses one otherwise
            than once.
    """
    check_layers(model)
    layers = model.affine_layers()
    stride = min(_FARTHEST, max(1, round(store.num_frames / num_frames)))
    # Of held-out data nothing is dropped.
    split, stores = Split.HELDOUT, dict.fromkeys(Split, store)
    objective = FrameObjective(
        model, CrossEntropy(), stores, max(1, chunk_frames // stride), frame_stride=stride
    )
    sample = Sample(split, _spread(store, num_frames, stride, seed))
    last = len(layers) - 1 if model.num_pdfs > _MOST_OUTPUTS else None
    statistic = FisherFactors(tuple(layers.values()), seed, last)
    taken = int(objective.unit_frames(split)[sample.units].sum())
    totals = objective.accumulate(model.flat.detach(), sample, statistic)
    found = zip(layers, statistic.finish(totals, taken), strict=True)
    return {name: _symmetric(factor) for name, factor in found}, taken


def check_layers(model: AcousticModel) -> None:
    """Refuse a network without an affine layer.

    Raises:
        InputError: it has none.
    """
    if not model.affine_layers():
        raise InputError(
            f"trainer.pull_fisher: a {type(model).__name__} has no fully connected layer",
            expected="a network with layers of torch.nn.Linear",
            remedy="trainer.pull_fisher=0; trainer.pull holds any network",
        )


def _spread(store: FrameStore, num_frames: int, stride: int, seed: int) -> np.ndarray:
    """Choose units that are spread evenly over a store: of every m-th utterance every k-th frame.

    The first utterance, and the first frame of each one, are drawn.

    Args:
        store: the store.
        num_frames: about how many frames they have.
        stride: k.
        seed: seed of the draws.

    Returns:
        Numbers of the units (see `Units`), rising.
    """
    random = np.random.default_rng([seed, 5])
    every = min(store.num_units, max(1, round(store.num_frames / (num_frames * stride))))
    utterances = np.arange(int(random.integers(every)), store.num_units, every)
    units: np.ndarray = stride * utterances + random.integers(stride, size=len(utterances))
    return units


def _symmetric(factor: KroneckerFactor) -> KroneckerFactor:
    """Take away what rounding makes different above and below the diagonal."""
    return replace(factor, inputs=_mean(factor.inputs), outputs=_mean(factor.outputs))


def _mean(matrix: Tensor) -> Tensor:
    return matrix if matrix.dim() == 1 else (matrix + matrix.T) / 2
