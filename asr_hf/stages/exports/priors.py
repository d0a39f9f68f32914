"""Writes the priors of the pdfs as a Kaldi vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.settings.settings import Settings
from asr_hf.stages.exports.trained import trained_model


def write(settings: Settings, folder: Path) -> list[Path]:
    """Write priors.vec.

    Args:
        settings: settings of the command.
        folder: folder of the export.

    Returns:
        The files that were written.

    Raises:
        InputError: there is no trained model.
    """
    log_priors = trained_model(settings)[0].log_priors.float().numpy()
    return [write_priors(log_priors, folder, bool(settings.export.text))]


def write_priors(log_priors: np.ndarray, folder: Path, text: bool) -> Path:
    """Write priors.vec from the logarithms of the priors [pdfs]; return the file."""
    writer = KaldiWriter(binary=not text)
    writer.vector(np.exp(log_priors))
    return writer.save(folder / "priors.vec")
