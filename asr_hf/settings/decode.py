"""Settings of the groups decode and export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """Settings of decoding.

    Attributes:
        sets: names of the sets that are decoded.
        tune_on: set that the weights are chosen on.
        acoustic_scales: scales of acoustic scores that are tried.
        lm_scales: scales of graph scores that are tried.
        insertion_penalties: penalties for each word that are tried.
        graph: folder of one of Kaldi's decoding graphs; None takes the corpus's own graphs.
        beam: width of the search.
        lattice_beam: how far below the best path a path may lie and be kept.
        lattice_scale: acoustic scale of the search.
        max_active: largest number of an utterance's states that a frame goes on from; None for any.
        max_arcs_per_frame: mean number of arcs a frame to which lattices are pruned; None for any.
        jobs: number of processes.
        max_skipped: largest share of utterances that may be skipped.
        choose: number of kept models among which one is chosen first; 0 takes the run's model.
        after_training: whether asr-hf train decodes and scores at its end.
    """

    sets: tuple[str, ...]
    tune_on: str
    acoustic_scales: tuple[float, ...]
    lm_scales: tuple[float, ...]
    insertion_penalties: tuple[float, ...]
    graph: Path | None = None
    beam: float
    lattice_beam: float
    lattice_scale: float
    max_active: int | None
    max_arcs_per_frame: int | None
    jobs: int
    max_skipped: float
    choose: int
    after_training: bool


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Settings of asr-hf export.

    Attributes:
        format: name of the format.
        sets: names of the sets whose scores or words are written.
        text: whether archives and vectors are written as text.
        word_times: whether a model for Vosk must give right word times.
    """

    format: str | None
    sets: tuple[str, ...]
    text: bool
    word_times: bool = True
