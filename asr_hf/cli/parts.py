"""What a recipe, stage or preset sets in a group only where that has the option this is meant for.

Beside conf/preset/kfac.yaml, which chooses sampling=geometric among others, stands
conf/preset/kfac/sampling/geometric.yaml with its sizes. It is read where geometric is what is
chosen in the end, after the preset and before what follows the preset on the command line; with
sampling=fixed it is not. Hydra can look at final choices only from its primary configuration,
which knows nothing of stages and presets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from asr_hf.cli.groups import config_dirs, key_of


def with_parts(overrides: list[str], choices: Mapping[str, Any]) -> list[str]:
    """Put behind each recipe, stage and preset the parts of it that fit what is chosen.

    Args:
        overrides: Hydra's, groups and keys alike.
        choices: the option of each group in the end, with these overrides.

    Returns:
        The overrides, with those that add the parts.
    """
    folders = config_dirs(overrides)
    parts = {
        group: found
        for group, option in choices.items()
        if isinstance(option, str) and (found := list(_parts(group, option, choices, folders)))
    }
    if not parts:
        return overrides
    given = [key_of(override) for override in overrides]
    # A preset that a recipe has in its own defaults comes with the recipe.
    first = next((n for n, key in enumerate(given) if key in choices), len(given) - 1)
    places = {group: given.index(group) if group in given else first for group in parts}
    placed: list[str] = []
    for number, override in enumerate(overrides):
        placed.append(override)
        for group in sorted(parts, key=given.count):
            placed += parts[group] if places[group] == number else []
    return placed


def _parts(
    group: str, option: str, choices: Mapping[str, Any], folders: list[Path]
) -> Iterator[str]:
    """Overrides that add the fitting parts of one option, what it builds on first."""
    if not any(one.is_dir() for folder in folders for one in (folder / group).glob("*")):
        return
    for name in _lineage(group, option, folders):
        for part, chosen in choices.items():
            path = f"{group}/{name}/{part}"
            if any((folder / path / f"{chosen}.yaml").is_file() for folder in folders):
                yield f"+{path}@_global_={chosen}"


def _lineage(group: str, option: str, folders: list[Path]) -> list[str]:
    """The options of its own group that an option has in its defaults, and itself."""
    for folder in folders:
        path = folder / group / f"{option}.yaml"
        if not path.is_file():
            continue
        try:
            tree = OmegaConf.load(path)
        except (OmegaConfBaseException, YAMLError, ValueError, OSError):
            # Hydra, which reads it next, says what is wrong with it.
            return [option]
        found = tree.get("defaults") if isinstance(tree, DictConfig) else None
        named = [d for d in found or [] if isinstance(d, str) and d != "_self_"]
        below = [one for d in named for one in _lineage(group, d, folders)]
        return [*dict.fromkeys(below), option]
    return [option]
