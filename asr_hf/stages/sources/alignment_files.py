"""Writes what stands beside the alignments of a set: when words and phones are, and the fits."""

from __future__ import annotations

import logging
from pathlib import Path

from asr_hf.hmm.alignment.align import AlignedSet, fit_outliers
from asr_hf.hmm.alignment.segments import ctm_lines
from asr_hf.runtime.files import write_text
from asr_hf.settings.settings import Settings

log = logging.getLogger(__name__)

# Utterances that a message names.
_MAX_NAMED = 3


def write_ctm(settings: Settings, folder: Path, aligned: AlignedSet) -> None:
    """Write phones.ctm and words.ctm, whose times are begins of windows."""
    shift = settings.features.frame_shift / 1000
    for name, segments in (("phones", aligned.phones), ("words", aligned.words)):
        lines = (ctm_lines(utterance, spans, shift) for utterance, spans in segments.items())
        write_text(folder / f"{name}.ctm", "".join(lines))


def write_fits(folder: Path, name: str, fits: dict[str, float]) -> None:
    """List utterances by how well they fit their transcripts, the worst first; name the worst."""
    ordered = sorted(fits, key=fits.__getitem__)
    write_text(folder / "fit.txt", "".join(f"{u} {fits[u]:.2f}\n" for u in ordered))
    if worst := fit_outliers(fits):
        log.warning(
            "alignment of %s: %d of %d utterances fit their transcripts far worse than the others "
            "do; perhaps these are wrong (%s lists all, the worst first): %s",
            name,
            len(worst),
            len(fits),
            folder / "fit.txt",
            ", ".join(worst[:_MAX_NAMED]) + (", ..." if len(worst) > _MAX_NAMED else ""),
        )
