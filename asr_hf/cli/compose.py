"""From overrides on the command line to a resolved configuration."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from asr_hf.cli.check import check_choices
from asr_hf.cli.suggest import check_types, nearest
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import conf_dir

CONFIG_NAME = "train"
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, YAMLError)


def load_config(arguments: list[str]) -> DictConfig:
    """Compose conf/train.yaml with overrides, every path made absolute.

    Args:
        arguments: what follows the verb.

    Raises:
        InputError: an override is malformed, or names a key or option that does not exist; the
            message names the nearest that does.
    """
    overrides = with_table(with_search_path(arguments))
    try:
        config = compose_tree(overrides)
    except COMPOSITION_ERRORS as error:
        raise explain(overrides, error) from error
    check_types(overrides, config, compose_tree)
    return complete(config, command=overrides)


def compose_tree(overrides: list[str]) -> DictConfig:
    """Compose conf/train.yaml with overrides; errors are Hydra's own."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        return compose(CONFIG_NAME, overrides=overrides)


def complete(
    config: DictConfig, run_dir: str | None = None, command: list[str] | None = None
) -> DictConfig:
    """Make paths absolute, set the run folder, and check that every value can be had.

    Args:
        config: as composed.
        run_dir: the run folder; None for <paths.exp>/<name>.
        command: the overrides, which the run keeps for commands that work on it later.

    Raises:
        InputError: a value is missing, or an interpolation leads nowhere.
    """
    try:
        if missing := missing_keys(OmegaConf.to_container(config, resolve=False)):
            raise InputError(
                f"the configuration lacks {', '.join(missing)}",
                remedy="choose a recipe, e.g. +recipe=prompts, or set them",
            )
        _check_name(str(config.name))
        with open_dict(config):
            for key in config.paths:
                config.paths[key] = os.path.abspath(config.paths[key])
            config.name = str(config.name)
            config.command = list(command or [])
            config.run_dir = os.path.abspath(run_dir or Path(config.paths.exp) / config.name)
        OmegaConf.to_container(config, resolve=True)
        check_choices(config)
    except OmegaConfBaseException as error:
        raise InputError(
            f"the configuration cannot be resolved: {str(error).splitlines()[0]}",
            remedy="mend the ${...} in it, or put back the group it points at",
        ) from error
    return config


def missing_keys(tree: Any, key: str = "") -> list[str]:
    """Keys whose value is ???, sorted. OmegaConf's own function follows interpolations to them."""
    if isinstance(tree, dict):
        below = [(f"{key}.{name}" if key else str(name), value) for name, value in tree.items()]
    elif isinstance(tree, list):
        below = [(f"{key}[{index}]", value) for index, value in enumerate(tree)]
    else:
        return [key] if tree == MISSING else []
    return sorted(missing for name, value in below for missing in missing_keys(value, name))


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise InputError(
            f"name: {name!r} is no name for a run",
            expected="a folder below paths.exp",
            remedy="name=first, for example; paths.exp=DIR puts runs elsewhere",
        )


def with_search_path(arguments: list[str]) -> list[str]:
    """Turn `--config-dir DIR` into Hydra's search path and refuse other options.

    Raises:
        InputError: there is another option, or no such folder.
    """
    overrides, rest = [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument in ("--config-dir", "-cd"):
            if not rest or not Path(rest[0]).is_dir():
                raise InputError(
                    f"{argument} {' '.join(rest[:1])}: no such folder",
                    expected="a folder with groups of your own, e.g. DIR/recipe/mine.yaml",
                )
            overrides.append(f"hydra.searchpath=['file://{os.path.abspath(rest.pop(0))}']")
        elif argument.startswith("-"):
            raise InputError(
                f"unknown option {argument!r}",
                expected="key=value overrides, --config-dir DIR, --help or --debug",
            )
        else:
            overrides.append(argument)
    return overrides


def with_table(overrides: list[str]) -> list[str]:
    """Turn `table=FILE` into the recipe for tables, the corpus named after the file.

    Raises:
        InputError: the file's name cannot be a folder's.
    """
    found = []
    for override in overrides:
        if not override.startswith("table="):
            found.append(override)
            continue
        path = override.removeprefix("table=").strip("'\"")
        name = re.sub(r"\W+", "-", PurePath(path).stem).strip("-")
        if not name:
            raise InputError(f"{override}: no name for a corpus", expected="table=my.tsv")
        quoted = path.replace("\\", "\\\\").replace("'", "\\'")
        found += ["+recipe=table", f"corpus.table='{quoted}'", f"corpus.name={name}"]
    return found


def explain(overrides: list[str], error: Exception) -> InputError:
    """Find the override that composition fails at, and what it should have been."""
    for number, override in enumerate(overrides):
        try:
            compose_tree(overrides[: number + 1])
        except YAMLError as found:
            # Its lines name the file, the line and what was expected there.
            return InputError(f"{override}: " + " ".join(str(found).split()))
        except COMPOSITION_ERRORS as found:
            before = compose_tree(overrides[:number])
            problem = f"{override}: {str(found).splitlines()[0]}"
            return InputError(problem, remedy=nearest(override, before))
    return InputError(str(error))
