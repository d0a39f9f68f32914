"""Write a trained model, its scores, or what was recognised, for other programs."""

from __future__ import annotations

import importlib
from typing import Any

from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.training.export_formats import FORMATS


def run(settings: Settings) -> dict[str, Any]:
    """Write `export.format` of the run in `run_dir` into <run_dir>/export.

    Returns:
        The files that were written.

    Raises:
        InputError: there is no trained model, or no such format, or the format cannot hold it.
    """
    name = str(settings.export.format)
    if name not in FORMATS:
        raise InputError(
            f"export.format={settings.export.format}: there is no such format",
            expected=f"one of {', '.join(FORMATS)}",
        )
    # Late, so that one form does not wait for the libraries of the others.
    module = importlib.import_module(f"asr_hf.stages.exports.{name}")
    return {"files": module.write(settings, settings.run_dir / "export")}
