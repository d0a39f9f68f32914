"""Frames of utterances side by side, on a device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from asr_hf.data.frame_draws import FrameDraws


class Augmentation(Protocol):
    """Chooses what of the training features a network does not see."""

    def hidden(self, draws: FrameDraws, starts: Tensor, frames: Tensor, dim: int) -> Tensor:
        """Say which values are hidden.

        Args:
            draws: random numbers of the frames of a batch; what is hidden follows from them.
            starts: first frame of the utterance of each frame [K], int64.
            frames: places of the frames in the batch [K], int64.
            dim: number of dimensions D of a frame.

        Returns:
            True where a value is hidden [K, D].
        """
        ...


@dataclass(frozen=True)
class Hiding:
    """Hides values of the features of a batch.

    Args:
        augmentation: chooses the values.
        draws: random numbers of the batch's frames.
        fill: what stands in the place of a hidden value [D]: the mean of its dimension.
    """

    augmentation: Augmentation
    draws: FrameDraws
    fill: Tensor


@dataclass(frozen=True)
class FrameBatch:
    """The frames of some utterances, side by side.

    Args:
        features: unspliced features [F, D] in the store's dtype.
        labels: pdf of each frame [F], int64; empty if the store has no labels.
        starts: first frame of each frame's utterance in the batch [F], int64.
        ends: last frame (exclusive) of each frame's utterance in the batch [F], int64.
        draws: random numbers of the frames, which dropout is drawn by; None drops nothing.
        hiding: hides features from the network (see `rows`); None shows them all.
    """

    features: Tensor
    labels: Tensor
    starts: Tensor
    ends: Tensor
    draws: FrameDraws | None = field(default=None, kw_only=True)
    hiding: Hiding | None = field(default=None, kw_only=True)

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The features, labels, starts and ends."""
        return self.features, self.labels, self.starts, self.ends

    def to(self, device: torch.device) -> FrameBatch:
        """Return the batch on `device`; from page-locked memory it is copied in the background."""
        return FrameBatch(*(x.to(device, non_blocking=True) for x in self.tensors))

    def rows(self, frames: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the features of some frames as a network sees them.

        Args:
            frames: places of the frames in the batch [K], int64.
            dtype: type of the result.

        Returns:
            Features [K, D].
        """
        # Whole rows at once: several times faster on a CPU than indexing with a matrix.
        rows = self.features.index_select(0, frames).to(dtype)
        if self.hiding is None:
            return rows
        hidden = self.hiding.augmentation.hidden(
            self.hiding.draws, self.starts[frames], frames, rows.shape[1]
        )
        return torch.where(hidden, self.hiding.fill.to(rows), rows)
