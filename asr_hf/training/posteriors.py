"""Scores of a trained model for decoding and realignment."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from asr_hf.data.store import FrameStore
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import RunError


@torch.no_grad()
def log_likelihoods(
    model: AcousticModel, store: FrameStore, device: torch.device
) -> Iterator[tuple[str, np.ndarray]]:
    """Scaled log-likelihoods log p(s|x) - log p(s) of every utterance of `store`.

    Yields:
        The utterance and its scores [frames, pdfs], float32.

    Raises:
        RunError: scores are not finite, naming the utterance.
    """
    model = model.to(device)
    for unit, utterance in enumerate(store.utterances):
        batch = store.gather(np.array([unit]), device)
        scores = model.log_likelihoods(model.inputs(batch)).float().cpu().numpy()
        if not np.isfinite(scores).all():
            raise RunError(
                f"utterance {utterance}: the model's scores are not finite",
                remedy="look at the run's held-out loss: the model may have diverged",
            )
        yield utterance, scores
