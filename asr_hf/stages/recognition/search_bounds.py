"""Counts where the limits of a search took hold, and says which settings are behind it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger(__name__)


@dataclass
class SearchBounds:
    """The utterances of a set in which the search was limited.

    Args:
        group: group of the settings, "decode" or "lattices".
        max_active: value of the group's `max_active`.
        max_arcs_per_frame: value of the group's `max_arcs_per_frame`.

    Attributes:
        utterances: number of utterances that were searched.
        frames: number of their frames.
        limited: number of frames that had too many states, by utterance.
        narrowed: utterances whose lattices had too many arcs.
    """

    group: str
    max_active: int | None
    max_arcs_per_frame: int | None
    utterances: int = 0
    frames: int = 0
    limited: dict[str, int] = field(default_factory=dict)
    narrowed: list[str] = field(default_factory=list)

    def add(self, utterance: str, frames: int, limited_frames: int, narrowed: bool) -> None:
        """Count one utterance."""
        self.utterances += 1
        self.frames += frames
        if limited_frames:
            self.limited[utterance] = limited_frames
        if narrowed:
            self.narrowed.append(utterance)

    def log(self, stage: str) -> None:
        """Say how often the limits took hold, if they did.

        Args:
            stage: work that was done, for the message ("decoding dev").
        """
        if self.limited:
            worst = max(self.limited, key=lambda utterance: self.limited[utterance])
            log.info(
                "%s: %d of %d utterances (%.1f%% of all frames; most in %s) had more than "
                "%s.max_active=%s states within %s.beam, and went on from the best; a larger "
                "%s.max_active may find better words and takes longer",
                *(stage, len(self.limited), self.utterances, 100 * self.limited_share, worst),
                *(self.group, self.max_active, self.group, self.group),
            )
        if self.narrowed:
            log.info(
                "%s: %d of %d lattices (%s%s) had more than %s.max_arcs_per_frame=%s, and kept the "
                "best; a larger %s.max_arcs_per_frame keeps more",
                *(stage, len(self.narrowed), self.utterances),
                *(" ".join(self.narrowed[:3]), " ..." if len(self.narrowed) > 3 else ""),
                *(self.group, self.max_arcs_per_frame, self.group),
            )

    @property
    def limited_share(self) -> float:
        """The share of all frames that had too many states."""
        return sum(self.limited.values()) / max(1, self.frames)

    def about(self) -> dict[str, Any]:
        """Return the counts as plain values, for a result's file."""
        return {
            "limited": self.limited,
            "limited_share": self.limited_share,
            "narrowed": self.narrowed,
        }
