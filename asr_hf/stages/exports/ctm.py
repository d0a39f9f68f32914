"""Recognised words in NIST's form."""

from __future__ import annotations

from pathlib import Path

from asr_hf.scoring.ctm import write_ctm
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.recordings import recognised_words


def write(settings: Settings, folder: Path) -> list[Path]:
    """Write <set>/words.ctm of what was decoded, in times of the recordings.

    Returns:
        The files that were written.

    Raises:
        InputError: a set was not decoded.
    """
    written = []
    for name in settings.export.sets:
        written.append(folder / name / "words.ctm")
        write_ctm(written[-1], recognised_words(settings, name))
    return written
