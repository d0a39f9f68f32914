"""Context windows, made on the device."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_hf.data.store import FrameBatch


def splice(batch: FrameBatch, left: int, right: int, dtype: torch.dtype) -> Tensor:
    """Put each frame's neighbours beside it, repeating an utterance's edge frames.

    Args:
        batch: unspliced frames [F, D] with their utterance bounds.
        left: frames of context before each frame.
        right: frames of context after it.
        dtype: of the result.

    Returns:
        [F, (left + 1 + right) * D], oldest frame first.
    """
    index = torch.arange(len(batch.features), device=batch.features.device)
    return splice_at(batch, index, left, right, dtype)


def splice_at(
    batch: FrameBatch, index: Tensor, left: int, right: int, dtype: torch.dtype
) -> Tensor:
    """Spliced windows of the frames at `index` [K] only: [K, (left + 1 + right) * D]."""
    offsets = torch.arange(-left, right + 1, device=index.device)
    wanted = index[:, None] + offsets
    wanted = torch.maximum(wanted, batch.starts[index, None])
    wanted = torch.minimum(wanted, batch.ends[index, None] - 1)
    return batch.features[wanted].flatten(1).to(dtype)
