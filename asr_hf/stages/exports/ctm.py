"""Writes recognised words in NIST's ctm format."""

from __future__ import annotations

from pathlib import Path

from asr_hf.scoring.ctm import write_ctm
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.recordings import recognised_words


def write(settings: Settings, folder: Path) -> list[Path]:
    """Write the words of each set of `export.sets` to <set>/words.ctm, in time of the recordings.

    Args:
        settings: settings of the command.
        folder: folder of the export.

    Returns:
        The files that were written.

    Raises:
        InputError: a set of `export.sets` was not decoded.
    """
    written = []
    for name in settings.export.sets:
        written.append(folder / name / "words.ctm")
        write_ctm(written[-1], recognised_words(settings, name))
    return written
