"""The recogniser that a run folder or a pack holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from asr_hf.cli.compose import load_config
from asr_hf.cli.run_settings import load_run_config
from asr_hf.stages.transcription.pack import pack_overrides
from asr_hf.stages.transcription.pack_files import is_pack


def speech_config(place: str, overrides: Sequence[str]) -> tuple[DictConfig, Path | None]:
    """Compose the configuration of a run, or that which a pack is read with.

    Args:
        place: run folder, or pack.
        overrides: overrides of its settings.

    Returns:
        The configuration, complete; and the pack, None for a run.

    Raises:
        InputError: there is neither, or an override does not fit.
    """
    path = Path(place)
    if not is_pack(path):
        return load_run_config([place, *overrides]), None
    # The recipe fills the rest of the configuration, which a pack does not read.
    return load_config(["+recipe=prompts", *pack_overrides(path), *overrides]), path
