"""The same overrides are composed once by each of pytest's processes."""

from __future__ import annotations

import pickle
from pathlib import Path

from omegaconf import DictConfig

from asr_hf.cli import compose
from asr_hf.cli.groups import SEARCH_PATH
from asr_hf.runtime.resources import conf_dir

_compose = compose._compose
_pickled: dict[tuple[Path, str, ...], bytes] = {}


def composed(overrides: list[str]) -> DictConfig:
    """Compose overrides, or copy the tree that they gave before.

    Folders of one's own may change between two tests, the built-in one does not.
    """
    if any(SEARCH_PATH in override for override in overrides):
        return _compose(overrides)
    key = (conf_dir(), *overrides)
    if key not in _pickled:
        _pickled[key] = pickle.dumps(_compose(overrides))
    tree: DictConfig = pickle.loads(_pickled[key])
    return tree
