"""How wide a search may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchLimits:
    """How wide a search is.

    Attributes:
        beam: log-probability width.
        lattice_beam: how far below the best path's score a path may lie and be kept.
        max_active: number of states, the best ones, that a frame goes on from; None for all.
        max_arcs_per_frame: mean number of arcs a frame to which an utterance's lattice is pruned;
            None for no such limit.
    """

    beam: float
    lattice_beam: float
    max_active: int | None
    max_arcs_per_frame: int | None
