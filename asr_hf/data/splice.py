"""Splices frames with their neighbours, on the device."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_hf.data.frame_batch import FrameBatch


def splice(batch: FrameBatch, left: int, right: int, dtype: torch.dtype) -> Tensor:
    """Put each frame's neighbours beside it; the edge frames of an utterance are repeated.

    Args:
        batch: unspliced frames [F, D] with the bounds of their utterances.
        left: number of context frames before each frame.
        right: number of context frames after each frame.
        dtype: type of the result.

    Returns:
        Windows [F, (left + 1 + right) * D], with the earliest frame first.
    """
    index = torch.arange(len(batch.features), device=batch.features.device)
    return splice_at(batch, index, left, right, dtype)


def splice_at(
    batch: FrameBatch, index: Tensor, left: int, right: int, dtype: torch.dtype
) -> Tensor:
    """Return the windows [K, (left + 1 + right) * D] of the frames at `index` [K]; see `splice`."""
    offsets = torch.arange(-left, right + 1, device=index.device)
    neighbours = index[:, None] + offsets
    neighbours = torch.maximum(neighbours, batch.starts[index, None])
    neighbours = torch.minimum(neighbours, batch.ends[index, None] - 1)
    rows = batch.rows(neighbours.flatten(), dtype)
    return rows.view(len(index), len(offsets) * rows.shape[1])
