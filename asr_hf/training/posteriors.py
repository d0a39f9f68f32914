"""Scores of a trained model for decoding and realignment, and priors from its posteriors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from asr_hf.data.frame_batch import FrameBatch
from asr_hf.data.store import FrameStore
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import RunError


def batches_of(store: FrameStore, device: torch.device) -> Iterator[tuple[str, FrameBatch]]:
    """Go through the utterances of a store.

    Args:
        store: the packed frames.
        device: the device that batches are brought to.

    Yields:
        Each utterance and its frames.
    """
    for unit, utterance in enumerate(store.utterances):
        yield utterance, store.gather(np.array([unit]), device)


@torch.no_grad()
def log_likelihoods(
    model: AcousticModel, batches: Iterable[tuple[str, FrameBatch]], device: torch.device
) -> Iterator[tuple[str, np.ndarray]]:
    """Compute the scaled log-likelihoods log p(s|x) - log p(s) of utterances.

    Args:
        model: the network.
        batches: utterances with their frames.
        device: the device to compute on.

    Yields:
        The utterance and its scores [frames, pdfs], float32; those of every k-th frame, the first
        among them, of a model that emits these.

    Raises:
        RunError: scores are not finite, naming the utterance.
    """
    model = model.to(device)
    for utterance, batch in batches:
        index = emitted(batch, model.subsampling)
        scores = model.log_likelihoods(model.inputs(batch, index)).float().cpu().numpy()
        if not np.isfinite(scores).all():
            raise RunError(
                f"utterance {utterance}: the model's scores are not finite",
                remedy="look at the run's held-out loss: the model may have diverged",
            )
        yield utterance, scores


def emitted(batch: FrameBatch, every: int) -> torch.Tensor | None:
    """Return the numbers of every k-th frame of an utterance; None for all of them."""
    if every == 1:
        return None
    return torch.arange(0, len(batch.features), every, device=batch.features.device)


@torch.no_grad()
def expected_counts(
    model: AcousticModel,
    store: FrameStore,
    device: torch.device,
    seed: int,
    num_frames: int = 500_000,
) -> torch.Tensor:
    """Count the frames that the model gives each pdf: posteriors summed over a sample.

    Args:
        model: the network.
        store: the training data.
        device: the device to compute on.
        seed: seed of the sample of utterances.
        num_frames: about how many frames the sample has.

    Returns:
        Counts of the pdfs [pdfs], float64.
    """
    counts = torch.zeros(model.num_pdfs, dtype=torch.float64, device=device)
    seen = 0
    for unit in np.random.default_rng([seed, 4]).permutation(store.num_units):
        batch = store.gather(np.array([unit]), device)
        posteriors = torch.softmax(model(model.inputs(batch)), dim=1)
        counts += posteriors.sum(0, dtype=torch.float64)
        seen += len(posteriors)
        if seen >= num_frames:
            break
    return counts.cpu()
