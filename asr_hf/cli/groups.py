"""The groups of the configuration tree and their options, built in and of the user's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from asr_hf.runtime.resources import conf_dir

# Where overrides name folders beside the built-in tree; `--config-dir` is turned into it.
SEARCH_PATH = "hydra.searchpath"


def config_dirs(overrides: Sequence[str] = ()) -> list[Path]:
    """Folders that configurations are read from: the built-in one, then those of overrides."""
    named = [o for o in overrides if key_of(o) == SEARCH_PATH]
    return [conf_dir(), *(Path(p) for o in named for p in re.findall(r"file://([^'\"\],]+)", o))]


def groups(overrides: Sequence[str] = ()) -> dict[str, list[str]]:
    """Config groups and their options, without Hydra's own and what options share (_*.yaml)."""
    found: dict[str, set[str]] = {}
    for root in config_dirs(overrides):
        for folder in root.iterdir() if root.is_dir() else ():
            options = {p.stem for p in folder.glob("[!_]*.yaml")} if folder.is_dir() else set()
            if options and folder.name != "hydra":
                found.setdefault(folder.name, set()).update(options)
    return {group: sorted(options) for group, options in sorted(found.items())}


@cache
def _with_default() -> frozenset[str]:
    tree = OmegaConf.load(conf_dir() / "train.yaml")
    assert isinstance(tree, DictConfig)
    return frozenset(
        str(key) for line in tree.defaults if isinstance(line, DictConfig) for key in line
    )


def plus(group: str) -> str:
    """What stands before `group=OPTION`: a plus where there is no default, and it is added."""
    return "" if group in _with_default() else "+"


def key_of(override: str) -> str:
    """The key or group that an override names, without what stands before and behind it."""
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def is_hydras(override: str) -> bool:
    """Whether an override is one of Hydra's own settings, which Hydra checks."""
    return override.lstrip("+~").startswith(("hydra.", "hydra/"))
