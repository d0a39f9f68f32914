"""Parts of a recipe, stage or preset: settings for one option of another group.

For example, conf/preset/kfac_cg.yaml chooses sampling=geometric, and the part
conf/preset/kfac_cg/sampling/geometric.yaml has the sizes for it. The part is read where the command
ends up with sampling=geometric; with sampling=fixed on the command line it is not. It is read after
the preset and before the overrides that follow the preset. Hydra can consult final choices only in
its primary configuration, which knows nothing of stages and presets.
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
    """Insert the parts of each recipe, stage and preset that fit the chosen options after it.

    Args:
        overrides: overrides of groups and keys.
        choices: final option of each group, with these overrides.

    Returns:
        The overrides with those that add parts.
    """
    folders = config_dirs(overrides)
    parts = {
        group: additions
        for group, option in choices.items()
        if isinstance(option, str) and (additions := list(_parts(group, option, choices, folders)))
    }
    if not parts:
        return overrides
    given = [key_of(override) for override in overrides]
    # The parts of a preset in the defaults of a recipe follow the recipe.
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
    """Yield overrides that add the parts of an option; the options that it builds on come first."""
    if not any(path.is_dir() for folder in folders for path in (folder / group).glob("*")):
        return
    for name in _lineage(group, option, folders):
        for part, chosen in choices.items():
            path = f"{group}/{name}/{part}"
            if any((folder / path / f"{chosen}.yaml").is_file() for folder in folders):
                yield f"+{path}@_global_={chosen}"


def _lineage(group: str, option: str, folders: list[Path]) -> list[str]:
    """Return the options of the same group that an option builds on by its defaults, and itself."""
    for folder in folders:
        path = folder / group / f"{option}.yaml"
        if not path.is_file():
            continue
        try:
            tree = OmegaConf.load(path)
        except (OmegaConfBaseException, YAMLError, ValueError, OSError):
            # Hydra, which reads it next, says what is wrong with it.
            return [option]
        defaults = tree.get("defaults") if isinstance(tree, DictConfig) else None
        named = [d for d in defaults or [] if isinstance(d, str) and d != "_self_"]
        below = [name for d in named for name in _lineage(group, d, folders)]
        return [*dict.fromkeys(below), option]
    return [option]
