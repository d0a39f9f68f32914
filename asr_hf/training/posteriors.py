"""Scores of a trained model for decoding and realignment, and priors from its posteriors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from asr_hf.data.store import FrameBatch, FrameStore
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import RunError


def batches_of(store: FrameStore, device: torch.device) -> Iterator[tuple[str, FrameBatch]]:
    """Every utterance of a store and its frames."""
    for unit, utterance in enumerate(store.utterances):
        yield utterance, store.gather(np.array([unit]), device)


@torch.no_grad()
def log_likelihoods(
    model: AcousticModel, batches: Iterable[tuple[str, FrameBatch]], device: torch.device
) -> Iterator[tuple[str, np.ndarray]]:
    """Scaled log-likelihoods log p(s|x) - log p(s) of utterances.

    Args:
        model: the network.
        batches: each utterance and its frames.
        device: to compute on.

    Yields:
        The utterance and its scores [frames, pdfs], float32.

    Raises:
        RunError: scores are not finite, naming the utterance.
    """
    model = model.to(device)
    for utterance, batch in batches:
        scores = model.log_likelihoods(model.inputs(batch)).float().cpu().numpy()
        if not np.isfinite(scores).all():
            raise RunError(
                f"utterance {utterance}: the model's scores are not finite",
                remedy="look at the run's held-out loss: the model may have diverged",
            )
        yield utterance, scores


@torch.no_grad()
def expected_counts(
    model: AcousticModel, store: FrameStore, device: torch.device, seed: int, most: int = 500_000
) -> torch.Tensor:
    """Frames that the model gives each pdf [pdfs], float64: posteriors summed over a sample.

    Args:
        model: the network.
        store: the training data.
        device: to compute on.
        seed: of the sample of utterances.
        most: about how many frames.
    """
    counts = torch.zeros(model.num_pdfs, dtype=torch.float64, device=device)
    seen = 0
    for unit in np.random.default_rng([seed, 4]).permutation(store.num_units):
        batch = store.gather(np.array([unit]), device)
        posteriors = torch.softmax(model(model.inputs(batch)), dim=1)
        counts += posteriors.sum(0, dtype=torch.float64)
        seen += len(posteriors)
        if seen >= most:
            break
    return counts.cpu()
