"""From overrides on the command line to a resolved configuration."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import conf_dir

CONFIG_NAME = "train"


def load_config(overrides: list[str]) -> DictConfig:
    """Compose conf/train.yaml with `overrides`, every path made absolute.

    Raises:
        InputError: an override is malformed, or names a key or option that does not exist; the
            message names the nearest that does.
    """
    overrides = with_search_path(overrides)
    try:
        config = _compose(overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(overrides, error) from error
    return absolute(config, None)


def absolute(config: DictConfig, run_dir: str | None) -> DictConfig:
    """Make the configuration's paths absolute and check that nothing is missing or unresolved.

    Args:
        config: as composed.
        run_dir: the run folder; None for <paths.exp>/<name>.
    """
    with open_dict(config):
        for key in config.paths:
            config.paths[key] = os.path.abspath(config.paths[key])
        if missing := sorted(OmegaConf.missing_keys(config)):
            raise InputError(
                f"the configuration lacks {', '.join(missing)}",
                remedy="choose a recipe, e.g. +recipe=prompts, or set them",
            )
        config.run_dir = os.path.abspath(run_dir or Path(config.paths.exp) / config.name)
    try:
        OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise InputError(f"the configuration cannot be resolved: {error}") from error
    return config


def with_search_path(arguments: list[str]) -> list[str]:
    """Turn `--config-dir DIR` into Hydra's search path."""
    overrides, rest = [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument in ("--config-dir", "-cd"):
            if not rest:
                raise InputError(f"{argument} needs a folder")
            overrides.append(f"hydra.searchpath=[file://{os.path.abspath(rest.pop(0))}]")
        elif argument.startswith("-"):
            raise InputError(
                f"unknown option {argument!r}",
                expected="key=value overrides, --config-dir DIR, --help or --debug",
            )
        else:
            overrides.append(argument)
    return overrides


def explain(overrides: list[str], error: Exception) -> InputError:
    """Find the override that composition fails at, and what it should have been."""
    for number, override in enumerate(overrides):
        try:
            _compose(overrides[: number + 1])
        except (HydraException, OmegaConfBaseException) as found:
            problem = f"{override}: {str(found).splitlines()[0]}"
            return InputError(problem, remedy=_nearest(overrides[:number], override))
    return InputError(str(error))


def groups() -> dict[str, list[str]]:
    """Config groups and their options."""
    root = conf_dir()
    return {
        folder.name: sorted(p.stem for p in folder.glob("*.yaml"))
        for folder in sorted(root.iterdir())
        if folder.is_dir()
    }


def _compose(overrides: list[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        return compose(CONFIG_NAME, overrides=overrides)


def _nearest(before: list[str], override: str) -> str:
    """The remedy for one override that does not fit."""
    if "=" not in override:
        return "overrides have the form key=value"
    key, _, value = override.lstrip("+~").partition("=")
    options = groups()
    if key in options:
        near = difflib.get_close_matches(value, options[key], n=1)
        hint = f"did you mean {key}={near[0]}? " if near else ""
        return f"{hint}options of {key}: {', '.join(options[key])}"
    known = [*options, *flat_keys(_compose(before))]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if near and near[0] != key:
        return f"did you mean {near[0]}={value}?"
    if near and key in ("recipe", "debug"):
        return f"write +{key}={value}"
    return "asr-hf config +recipe=... prints every key"


def flat_keys(config: Any, prefix: str = "") -> Iterator[str]:
    """Every key of a configuration, dotted."""
    if not isinstance(config, DictConfig):
        return
    for key in config:
        name = f"{prefix}{key}"
        yield name
        if not OmegaConf.is_missing(config, key) and not OmegaConf.is_interpolation(config, key):
            yield from flat_keys(config[key], f"{name}.")
