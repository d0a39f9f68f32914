"""What marks a stage's output as made from the same input."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from omegaconf import DictConfig

from asr_hf.runtime.files import read_json
from asr_hf.stages.layout import alignment_folder, store_folder


def digest(*parts: Any) -> str:
    """A fingerprint of JSON-able values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def current_summary(config: DictConfig, name: str, made: str) -> dict[str, Any] | None:
    """The summary of a set that is aligned and packed already; otherwise its mark is removed.

    Args:
        config: the configuration.
        name: of the set.
        made: the digest of what it is to be made from.
    """
    mark = alignment_folder(config, name) / "summary.json"
    if mark.is_file() and (store_folder(config, name) / "store.json").is_file():
        summary: dict[str, Any] = read_json(mark)
        if summary["digest"] == made:
            return summary
    mark.unlink(missing_ok=True)
    return None
