"""From overrides on the command line to a resolved configuration."""

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
    """Compose conf/train.yaml with overrides, every path made absolute.

    Args:
        arguments: what follows the verb.

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
        The composed configuration.

    Raises:
        InputError: as `load_config`.
    """
    try:
        plain, config = _trees(overrides)
    except COMPOSITION_ERRORS as error:
        raise explain(overrides, error) from error
    check_kinds(config, plain, overrides)
    check_added(config, plain, overrides)
    return config


def compose_tree(overrides: list[str]) -> DictConfig:
    """Compose conf/train.yaml with overrides; errors are Hydra's own."""
    return _trees(overrides)[1]


def quoted_overrides(overrides: list[str]) -> list[str]:
    """Overrides as Hydra's grammar reads them as meant; errors are Hydra's own."""
    return _readable(overrides)[1]


def _readable(overrides: list[str]) -> tuple[list[str], list[str], DictConfig]:
    """The overrides that choose options, all overrides, both quoted, and the tree of the former."""
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
    """The tree with the groups that overrides choose alone, and with all overrides."""
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
    """Make paths absolute, set the run folder, and check that every value can be had.

    Args:
        config: as composed.
        run_dir: the run folder; None for <paths.exp>/<name>.
        command: the overrides, which the run keeps for commands that work on it later.

    Returns:
        The same configuration, changed in place.

    Raises:
        InputError: a value is missing, or an interpolation leads nowhere.
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
    """Keys whose value is ???, sorted. OmegaConf's own function follows interpolations to them."""
    if isinstance(tree, dict):
        below = [(f"{key}.{name}" if key else str(name), value) for name, value in tree.items()]
    elif isinstance(tree, list):
        below = [(f"{key}[{index}]", value) for index, value in enumerate(tree)]
    else:
        return [key] if tree == MISSING else []
    return sorted(missing for name, value in below for missing in missing_keys(value, name))


def folder_name(name: Any) -> str:
    """A name as folders have it: canonically composed (NFC), however it was typed."""
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
        The overrides that are left, the search path before them.

    Raises:
        InputError: there is another option, or no such folder.
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
    """Turn `table=FILE` into the recipe for tables, the corpus named after the file.

    Returns:
        The overrides, `table=FILE` replaced by those that it stands for.

    Raises:
        InputError: the file's name cannot be a folder's.
    """
    found = []
    for override in overrides:
        if not override.startswith("table="):
            found.append(override)
            continue
        path = override.removeprefix("table=")
        if path[:1] == path[-1:] and path[:1] in ("'", '"'):
            path = path[1:-1]
        name = table_name(path)
        if not name:
            raise InputError(f"{override}: no name for a corpus", expected="table=my.tsv")
        found += ["+recipe=table", f"corpus.table={as_text(path)}", f"corpus.name={as_text(name)}"]
    return found


def table_name(path: str) -> str:
    """What a table's corpus is called: letters, marks, digits, `_` and `.` of the file's name."""
    stem = folder_name(PurePath(path).stem)
    # Joiners part the letters of one word.
    kept = [
        c if unicodedata.category(c)[0] in "LMN" or c in "_.\u200c\u200d" else "-" for c in stem
    ]
    return re.sub("-+", "-", "".join(kept)).strip("-.")


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
            if key_of(override) not in groups(overrides):
                value = value_of(override)
                if misplaced := misfit(key_of(override), value, before, override):
                    return misplaced
            return InputError(
                problem_of(override, found, before, overrides),
                remedy=nearest(override, before, overrides),
            )
    return InputError(str(error))
