"""Writes posteriors divided by priors, of whole sets, as Kaldi's archives."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from asr_hf.data.ark import ArkWriter
from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.runtime.files import atomic_path
from asr_hf.runtime.progress import progress
from asr_hf.settings.settings import Settings
from asr_hf.stages.recognition.score_sources import network_scores
from asr_hf.stages.sources.external import alignments_from_outside, pack_external


def write(settings: Settings, folder: Path) -> list[Path]:
    """Write the scores of each set of `export.sets`.

    The files are <set>/loglikes.ark and .scp, or <set>/loglikes.txt with `export.text`.

    Args:
        settings: settings of the command.
        folder: folder of the export.

    Returns:
        The files that were written.

    Raises:
        InputError: there is no trained model, or a set has no features.
    """
    if alignments_from_outside(settings):
        pack_external(settings)
    scores, written = network_scores(settings, settings.run_dir), []
    for name in settings.export.sets:
        entries = progress(scores(name), desc=f"scores of {name}", unit="utt")
        if settings.export.text:
            written.append(_text_ark(folder / name / "loglikes.txt", entries))
            continue
        with ArkWriter(folder / name, "loglikes") as ark:
            for utterance, matrix in entries:
                ark.write(utterance, matrix)
        written += [ark.ark, ark.scp]
    return written


def _text_ark(path: Path, entries: Iterable[tuple[str, np.ndarray]]) -> Path:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        for utterance, matrix in entries:
            writer = KaldiWriter(binary=False)
            writer.text(f"{utterance} ")
            writer.matrix(matrix)
            file.write(writer.contents())
    return path
