"""The configuration of an existing run, with the overrides of a command that works on it.

`asr-hf decode exp/first` and `asr-hf decode name=first` both start from the configuration in the
run folder. An override on the command line changes the same settings that it would have changed in
the command of the training.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from asr_hf.cli.compose import compose_tree, load_config, with_search_path, with_table
from asr_hf.cli.groups import SEARCH_PATH, key_of
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.run_config import FILE_NAME, named_in, read_run_config
from asr_hf.runtime.run_folder import flattened

# Overrides that no command takes from a folder: settings of Hydra, classes, commands, and ${...}.
_NOT_FROM_A_RUN = re.compile(r"^[+~]*hydra\b|_target_|allow_pipes|\$\{")
# Settings that go by where the folder is now.
_FOLDER_KEYS = {"name", "run_dir", "command"}


def load_run_config(
    arguments: list[str], key: str = "run_dir", makes_model: bool = True
) -> DictConfig:
    """Compose the configuration for a verb that works on a run.

    Args:
        arguments: arguments of the verb: overrides, and a run folder or none.
        key: setting that a folder among the arguments stands for: run_dir, or lattices.from_run.
        makes_model: whether the verb makes the run's model.

    Returns:
        The configuration, complete.

    Raises:
        InputError: there is no such run, or an override does not fit.
    """
    folders = [a for a in arguments if "=" not in a and not a.startswith(("-", "+", "~"))]
    # The value of --config-dir is no run.
    folders = [f for f in folders if _before(arguments, f) not in ("--config-dir", "-cd")]
    if not folders:
        config = load_config(arguments)
        folder = Path(config.run_dir)
        if key == "run_dir" and (folder / FILE_NAME).is_file():
            return _run_config(folder, arguments, config, makes_model)
        return config
    if len(folders) > 1:
        raise InputError(
            f"{' '.join(folders)}: more than one run folder",
            expected="one, and overrides of the form key=value",
        )
    folder = Path(folders[0])
    if not (folder / FILE_NAME).is_file():
        raise InputError(
            f"{folder}: no run there",
            expected=f"the folder of a run, with its {FILE_NAME}, or overrides as key=value",
            remedy="asr-hf info lists the runs that there are",
        )
    given = [a for a in arguments if a != folders[0]]
    config = _run_config(folder, given, None, makes_model)
    if key != "run_dir":
        OmegaConf.update(config, key, str(folder), force_add=True)
    return config


def _before(arguments: list[str], argument: str) -> str:
    place = arguments.index(argument)
    return arguments[place - 1] if place else ""


def _run_config(
    folder: Path, given: list[str], composed: DictConfig | None, makes_model: bool
) -> DictConfig:
    """Change a run's configuration as the overrides of a command would have changed it.

    Args:
        folder: run folder.
        given: arguments of this command.
        composed: configuration that they compose to by themselves; None where they are not enough.
        makes_model: whether the command makes the run's model.

    Returns:
        The configuration, complete.

    Raises:
        InputError: the overrides do not fit, or the folder does not say how the run was started.
    """
    overrides = with_table(with_search_path(given))
    command = _command(folder)
    if command is None:
        if composed is None:
            raise InputError(
                f"{folder / FILE_NAME}: does not say by which command the run was started",
                remedy="give its overrides and name=..., as in its training",
            )
        return composed
    searched = [o for o in overrides if key_of(o) == SEARCH_PATH]
    before = _composed(folder, [*command, *searched])
    after = load_config(_joined(command, overrides))
    named = _named_in(after)
    if makes_model:
        # This command itself must name the class: the run's overrides may be a stranger's.
        named -= {str(OmegaConf.select(after, "model._target_"))}
        named |= _named_in(compose_tree(overrides) if composed is None else composed)
    saved = read_run_config(folder, named)
    config = OmegaConf.create(_moved(saved, folder))
    old, new = _values(before), _values(after)
    with open_dict(config):
        for key, value in new.items():
            if key not in _FOLDER_KEYS and (key not in old or old[key] != value):
                OmegaConf.update(config, key, value, merge=False, force_add=True)
        config.run_dir = str(folder.absolute())
        config.command = after.command
    return config


def _named_in(config: DictConfig) -> set[str]:
    """Return the names of classes and recipe in a configuration, which may be incomplete."""
    plain: Any = OmegaConf.to_container(config, resolve=False)
    recipe = OmegaConf.select(config, "corpus.recipe")
    return named_in(plain) | (set() if recipe is None else {str(recipe)})


def _moved(saved: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Correct the folders in a run's configuration if the whole project was moved.

    The project was moved if the run is in another folder of the same name as paths.exp had. Folders
    that lay beside the old one are then looked for beside the new one.

    Args:
        saved: configuration of the run.
        folder: run folder as it is now.

    Returns:
        The configuration with the folders that exist now.
    """
    before, now = Path(saved["paths"]["exp"]), folder.absolute().parent
    if before == now or before.name != now.name:
        return saved

    def place(value: str) -> str:
        try:
            there = now.parent / Path(value).relative_to(before.parent)
        except ValueError:
            return value
        return str(there) if there.exists() else value

    paths = {key: place(value) for key, value in saved["paths"].items()}
    corpus = saved["corpus"] | {"dir": place(saved["corpus"]["dir"])}
    return saved | {"paths": paths, "corpus": corpus}


def _composed(folder: Path, command: list[str]) -> DictConfig:
    try:
        return load_config(command)
    except InputError as error:
        raise InputError(
            f"{folder / FILE_NAME}: its command does not compose any more: {error.problem}",
            expected=error.expected,
            remedy="give this command the --config-dir that it was trained with",
        ) from error


def _command(folder: Path) -> list[str] | None:
    """Return the overrides that a run was started with, without those that no folder may decide."""
    command = read_run_config(folder, sections=["command"]).get("command")
    if not isinstance(command, list) or not all(isinstance(item, str) for item in command):
        return None
    return [override for override in command if not _NOT_FROM_A_RUN.search(override)]


def _joined(command: list[str], given: list[str]) -> list[str]:
    """Join overrides; those in `given` replace those of the same key in `command`."""
    # The order matters: groups that are added later win.
    left = {key_of(override): override for override in given}
    kept = [left.pop(key_of(override), override) for override in command]
    return [*kept, *(override for override in given if key_of(override) in left)]


def _values(config: DictConfig) -> dict[str, Any]:
    return flattened(OmegaConf.to_container(config, resolve=True), keep_all=True)
