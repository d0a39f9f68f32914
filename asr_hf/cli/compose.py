"""Composes overrides from the command line into a resolved configuration."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from asr_hf.cli.check import check_choices
from asr_hf.cli.groups import SEARCH_PATH, groups, is_hydras, key_of
from asr_hf.cli.kinds import OPTION, check_kinds, kinds_at, misfit
from asr_hf.cli.parts import with_parts
from asr_hf.cli.quoting import as_text, quoted, sweeps, value_of
from asr_hf.cli.suggest import check_added, nearest, problem_of
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import conf_dir

CONFIG_NAME = "train"
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, YAMLError)


def load_config(arguments: list[str]) -> DictConfig:
    """Compose conf/train.yaml with overrides, and make every path absolute.

    Args:
        arguments: arguments after the verb.

    Returns:
        The configuration, complete.

    Raises:
        InputError: an override is malformed, or names a key or option that does not exist; the
            message names the nearest that does.
    """
    overrides = with_table(with_search_path(arguments))
    return complete(checked_tree(overrides), command=overrides)


def checked_tree(overrides: list[str]) -> DictConfig:
    """Compose conf/train.yaml with overrides, and check that these fit it.

    Returns:
        The configuration as composed; values may still be missing.

    Raises:
        InputError: an override is malformed, or names a key or option that does not exist.
    """
    try:
        plain, config = _trees(overrides)
    except COMPOSITION_ERRORS as error:
        problem = explain(overrides, error)
        raise problem from error
    check_kinds(config, plain, overrides)
    check_added(config, plain, overrides)
    return config


def compose_tree(overrides: list[str]) -> DictConfig:
    """Compose conf/train.yaml with overrides, and let Hydra's own errors through."""
    return _trees(overrides)[1]


def quoted_overrides(overrides: list[str]) -> list[str]:
    """Return overrides, quoted for Hydra's grammar; let Hydra's own errors through."""
    return _readable(overrides)[1]


def _readable(overrides: list[str]) -> tuple[list[str], list[str], DictConfig]:
    """Quote overrides for Hydra's grammar.

    Returns:
        The overrides that choose options, all overrides, and the tree that the former compose to.
    """
    known = groups(overrides)
    options = {o: quoted(o, OPTION) for o in overrides if key_of(o) in known}
    options |= {o: o for o in overrides if is_hydras(o)}
    # With several values to sweep, a group is left at its default.
    chosen = [options[o] for o in overrides if o in options and not sweeps(options[o])]
    plain = _compose(chosen)
    return (
        chosen,
        [options.get(o) or quoted(o, kinds_at(key_of(o), plain)) for o in overrides],
        plain,
    )


def _trees(overrides: list[str]) -> tuple[DictConfig, DictConfig]:
    """Return the tree with only the options that overrides choose, and that with all overrides."""
    chosen, readable, plain = _readable(overrides)
    complete = with_parts(readable, plain.hydra.runtime.choices)
    config = plain.copy() if complete == chosen else _compose(complete)
    with open_dict(config):
        del config["hydra"]
    return plain, config


def _compose(overrides: list[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        return compose(CONFIG_NAME, overrides, return_hydra_config=True)


def complete(
    config: DictConfig, run_dir: str | None = None, command: list[str] | None = None
) -> DictConfig:
    """Make paths absolute, set the run folder, and check that every value can be resolved.

    Args:
        config: configuration as composed; it is changed in place.
        run_dir: run folder; None takes <paths.exp>/<name>.
        command: overrides, which the run keeps for commands that work on it later.

    Returns:
        The same configuration.

    Raises:
        InputError: a value is missing or no valid choice, or an interpolation leads nowhere.
    """
    if config.get("corpus") is None:
        raise InputError(
            "there is no corpus: neither a recipe nor a table was chosen",
            expected=f"+recipe=NAME, one of {', '.join(groups()['recipe'])}; or table=FILE",
            remedy="give the recipe that the corpus was prepared with, e.g. +recipe=prompts",
        )
    try:
        if missing := missing_keys(OmegaConf.to_container(config, resolve=False)):
            raise InputError(
                f"the configuration lacks {', '.join(missing)}",
                remedy="choose a recipe, e.g. +recipe=prompts, or set them",
            )
        with open_dict(config):
            for key in config.paths:
                config.paths[key] = os.path.abspath(config.paths[key])
            if config.corpus.get("name") is not None:
                config.corpus.name = folder_name(config.corpus.name)
            config.name = folder_name(config.name)
            _check_name(config.name)
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
    """Return the keys whose value is ???, sorted.

    OmegaConf's own function also lists keys that interpolate such values.
    """
    if isinstance(tree, dict):
        below = [(f"{key}.{name}" if key else str(name), value) for name, value in tree.items()]
    elif isinstance(tree, list):
        below = [(f"{key}[{index}]", value) for index, value in enumerate(tree)]
    else:
        return [key] if tree == MISSING else []
    return sorted(missing for name, value in below for missing in missing_keys(value, name))


def folder_name(name: Any) -> str:
    """Return a name as folders have it: in composed form (NFC), however it was typed."""
    return unicodedata.normalize("NFC", str(name))


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

    Returns:
        Overrides only.

    Raises:
        InputError: there is another option, or the folder does not exist.
    """
    overrides, folders, rest = [], [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument in ("--config-dir", "-cd"):
            if not rest or not Path(rest[0]).is_dir():
                raise InputError(
                    f"{argument} {' '.join(rest[:1])}: no such folder",
                    expected="a folder with groups of your own, e.g. DIR/recipe/mine.yaml",
                )
            folders.append(os.path.abspath(rest.pop(0)))
        elif argument.startswith("-"):
            raise InputError(
                f"unknown option {argument!r}",
                expected="key=value overrides, --config-dir DIR, --help or --debug",
            )
        else:
            overrides.append(argument)
    if folders:
        listed = ",".join(as_text(f"file://{folder}") for folder in folders)
        overrides.insert(0, f"{SEARCH_PATH}=[{listed}]")
    return overrides


def with_table(overrides: list[str]) -> list[str]:
    """Turn `table=FILE` into the recipe for tables, and name the corpus after the file.

    Returns:
        Overrides that Hydra knows.

    Raises:
        InputError: the name of the file gives no name for a folder.
    """
    expanded = []
    for override in overrides:
        if not override.startswith("table="):
            expanded.append(override)
            continue
        path = override.removeprefix("table=")
        if path[:1] == path[-1:] and path[:1] in ("'", '"'):
            path = path[1:-1]
        name = table_name(path)
        if not name:
            raise InputError(f"{override}: no name for a corpus", expected="table=my.tsv")
        expanded += [
            "+recipe=table",
            f"corpus.table={as_text(path)}",
            f"corpus.name={as_text(name)}",
        ]
    return expanded


def table_name(path: str) -> str:
    """Return the name of a table's corpus: the file's name, with a hyphen for other signs.

    Letters, marks, digits, `_` and `.` stay.
    """
    stem = folder_name(PurePath(path).stem)
    # Joiners part the letters of one word.
    kept = [
        c if unicodedata.category(c)[0] in "LMN" or c in "_.\u200c\u200d" else "-" for c in stem
    ]
    return re.sub("-+", "-", "".join(kept)).strip("-.")


def explain(overrides: list[str], error: Exception) -> InputError:
    """Find the override at which composition fails, and return an error that names it.

    Args:
        overrides: overrides that do not compose.
        error: error of their composition.

    Returns:
        An error whose remedy is the nearest override that would fit.
    """
    # Those before the culprit have to compose: folders of options come first.
    overrides = sorted(overrides, key=lambda override: key_of(override) != SEARCH_PATH)
    for number, override in enumerate(overrides):
        try:
            compose_tree(overrides[: number + 1])
        except YAMLError as yaml_error:
            # Its lines name the file, the line and what was expected there.
            return InputError(f"{override}: " + " ".join(str(yaml_error).split()))
        except COMPOSITION_ERRORS as composition_error:
            before = compose_tree(overrides[:number])
            if key_of(override) not in groups(overrides):
                value = value_of(override)
                if misplaced := misfit(key_of(override), value, before, override):
                    return misplaced
            return InputError(
                problem_of(override, composition_error, before, overrides),
                remedy=nearest(override, before, overrides),
            )
    return InputError(str(error))
