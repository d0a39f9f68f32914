"""The same overrides are composed once by each of pytest's processes, and each file read once."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from asr_hf.cli import compose
from asr_hf.cli.groups import SEARCH_PATH
from asr_hf.runtime.resources import conf_dir

_compose, _load = compose._compose, OmegaConf.load
_trees: dict[tuple[Path, str, ...], bytes] = {}
_files: dict[str, bytes] = {}


def composed(overrides: list[str]) -> DictConfig:
    """Compose overrides, or copy the tree that they gave before.

    Folders of one's own may change between two tests, the built-in one does not.
    """
    if any(SEARCH_PATH in override for override in overrides):
        return _compose(overrides)
    key = (conf_dir(), *overrides)
    if key not in _trees:
        _trees[key] = pickle.dumps(_compose(overrides))
    tree: DictConfig = pickle.loads(_trees[key])
    return tree


def loaded(file: Any) -> Any:
    """Read a file of the built-in tree, or copy what it held before."""
    name = str(getattr(file, "name", file))
    if not name.startswith(f"{conf_dir()}/"):
        return _load(file)
    if name not in _files:
        _files[name] = pickle.dumps(_load(file))
    return pickle.loads(_files[name])


def use() -> None:
    """Have commands that run in this process compose so."""
    compose._compose = composed
    OmegaConf.load = staticmethod(loaded)
