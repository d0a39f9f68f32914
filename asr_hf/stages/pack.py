"""Pack a run for transcription elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asr_hf.settings.settings import Settings
from asr_hf.stages.transcription.pack import write_pack


def run(settings: Settings, target: Path) -> dict[str, Any]:
    """Write the network of `run_dir`, and all that transcription needs beside it, into a pack.

    Args:
        settings: settings of the run.
        target: file, if its name ends in .asrhf, otherwise folder.

    Returns:
        The size of the pack, under "bytes".

    Raises:
        InputError: the run cannot be packed, or something else is at `target`.
    """
    return {"bytes": write_pack(settings, target)}
