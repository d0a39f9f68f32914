"""The best model of a run so far, as checkpoints keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from asr_hf.hf.state import copied, nest, nested, restore


@dataclass
class Best:
    """The parameters with the lowest held-out loss so far, and the statistics they go with.

    Args:
        theta: parameters θ [n].
        loss: their held-out loss per frame (nats).
        frame_error: share of held-out frames whose most probable class is not the label.
        train_loss: training loss of their iteration, where it is known.
        iteration: number of their iteration.
        statistics: statistics of the objective (see `Objective`).
    """

    theta: Tensor
    loss: float = float("inf")
    frame_error: float = 1.0
    train_loss: float | None = None
    iteration: int = 0
    statistics: dict[str, Tensor] = field(default_factory=dict)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds of it as tensors."""
        return {"best_theta": self.theta, **nest("best_statistics", self.statistics)}

    @property
    def values(self) -> dict[str, Any]:
        """What a checkpoint holds of it as JSON values."""
        return {
            "loss": self.loss,
            "frame_error": self.frame_error,
            "train_loss": self.train_loss,
            "iteration": self.iteration,
        }

    def restored(self, tensors: Mapping[str, Tensor], values: dict[str, Any]) -> Best:
        """Return the best model that a checkpoint holds, on the device of this one."""
        theta, statistics = tensors["best_theta"].to(self.theta.device), copied(self.statistics)
        restore(statistics, nested("best_statistics", tensors))
        return Best(theta, **values, statistics=statistics)
