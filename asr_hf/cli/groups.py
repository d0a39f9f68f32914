"""The groups of the configuration tree and their options, both built-in and the user's own."""

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
    """Return the folders of configurations: the built-in one, then those that overrides add."""
    named = [o for o in overrides if key_of(o) == SEARCH_PATH]
    return [conf_dir(), *(Path(p) for o in named for p in re.findall(r"file://([^'\"\],]+)", o))]


def groups(overrides: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return the options of each config group, without Hydra's own groups.

    Files named _*.yaml are no options; they hold what options share.
    """
    names: dict[str, set[str]] = {}
    for root in config_dirs(overrides):
        for folder in root.iterdir() if root.is_dir() else ():
            options = {p.stem for p in folder.glob("[!_]*.yaml")} if folder.is_dir() else set()
            if options and folder.name != "hydra":
                names.setdefault(folder.name, set()).update(options)
    return {group: sorted(options) for group, options in sorted(names.items())}


@cache
def _with_default() -> frozenset[str]:
    tree = OmegaConf.load(conf_dir() / "train.yaml")
    assert isinstance(tree, DictConfig)
    return frozenset(
        str(key) for line in tree.defaults if isinstance(line, DictConfig) for key in line
    )


def plus(group: str) -> str:
    """Return what stands before `group=OPTION`: a plus for a group without a default."""
    return "" if group in _with_default() else "+"


def key_of(override: str) -> str:
    """Return the key or group of an override, without its value, `+`, `~` and `@package`."""
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def is_hydras(override: str) -> bool:
    """Return whether an override changes a setting of Hydra, which Hydra checks itself."""
    return override.lstrip("+~").startswith(("hydra.", "hydra/"))
