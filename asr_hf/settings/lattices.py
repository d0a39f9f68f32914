"""Settings of the group lattices."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from asr_hf.settings.maker import ONE_OR_MORE


@dataclass(frozen=True, kw_only=True)
class LatticeSettings:
    """Settings of denominator lattices for sequence training.

    Attributes:
        from_run: run folder whose network makes the lattices.
        from_kaldi: folder of Kaldi's lattices, which take the place of our own.
        silence_phones: phones of Kaldi's lattices that are silence or noise, by ids or names.
        tag: what keeps lattices apart from others of the corpus.
        sets: names of the sets that have lattices made.
        utterances: largest number of utterances of a set that have lattices made; None takes all.
        acoustic_scale: scale of acoustic scores; None takes the one that the run decodes best with.
        lm_order: order of the language model.
        beam: width of the search.
        lattice_beam: how far below the best path a path may lie and be kept.
        max_active: largest number of an utterance's states that a frame goes on from; None for any.
        max_arcs_per_frame: mean number of arcs a frame to which lattices are pruned; None for any.
        max_frames: length of the longest utterances that have lattices made (frames).
        max_skipped: largest share of utterances without a lattice.
        jobs: number of processes.
    """

    from_run: Path | None
    from_kaldi: Path | None = None
    silence_phones: tuple[int | str, ...] | None = field(default=None, metadata=ONE_OR_MORE)
    tag: str | None
    sets: tuple[str, ...]
    utterances: int | None
    acoustic_scale: float | None
    lm_order: int
    beam: float
    lattice_beam: float
    max_active: int | None
    max_arcs_per_frame: int | None
    max_frames: int
    max_skipped: float
    jobs: int
