"""Settings of the group adapt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class AdaptSettings:
    """Settings of adaptation to other speech.

    Attributes:
        states: what the network's outputs stand for: same (the old run's HMM states) or new (those
            that the new corpus is aligned with).
        weight: frames of the new speech that the old parameters weigh as much as.
        fisher_frames: frames of the old training set that a Fisher matrix is measured on.
        old_sets: sets of the old run's corpus that are decoded with the new network, too.
    """

    states: str = "same"
    weight: float = 800
    fisher_frames: int = 20_000
    old_sets: tuple[str, ...] = ("test",)
