"""Write a trained model, its scores, or the recognised words, for other programs."""

from __future__ import annotations

import importlib
from typing import Any

from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.training.export_formats import FORMATS


def run(settings: Settings) -> dict[str, Any]:
    """Write the run in `run_dir` in the format `export.format` into <run_dir>/export.

    Args:
        settings: settings of the command.

    Returns:
        The files that were written, under "files".

    Raises:
        InputError: there is no trained model, or no such format, or the format cannot hold it.
    """
    name = str(settings.export.format)
    if name not in FORMATS:
        raise InputError(
            f"export.format={settings.export.format}: there is no such format",
            expected=f"one of {', '.join(FORMATS)}",
        )
    # Late, so that one format does not wait for the libraries of the others.
    module = importlib.import_module(f"asr_hf.stages.exports.{name}")
    return {"files": module.write(settings, settings.run_dir / "export")}
