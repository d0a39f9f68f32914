"""The settings of a run that there is: those that it was trained with, and what is given beside.

`asr-hf decode exp/first` and `asr-hf decode name=first` both start from the configuration in the
run folder. What the command line adds changes what it would have changed in the training's command.
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

# What a command may never take from a folder: Hydra's own settings, classes, commands, and ${...}.
_NOT_FROM_A_RUN = re.compile(r"^[+~]*hydra\b|_target_|allow_pipes|\$\{")
# What belongs to the folder, wherever it is now.
_OF_THE_FOLDER = {"name", "run_dir", "command"}


def load_run_config(
    arguments: list[str], key: str = "run_dir", makes_model: bool = True
) -> DictConfig:
    """Compose the configuration for a verb that works on a run.

    Args:
        arguments: what follows the verb: perhaps a run folder, and overrides.
        key: which setting a folder that is given stands for: run_dir, or lattices.from_run.
        makes_model: whether the verb makes the run's model.

    Returns:
        The configuration.

    Raises:
        InputError: there is no such run, or an override does not fit.
    """
    folders = [a for a in arguments if "=" not in a and not a.startswith(("-", "+", "~"))]
    # The value of --config-dir is no run.
    folders = [f for f in folders if _before(arguments, f) not in ("--config-dir", "-cd")]
    if not folders:
        config = load_config(arguments)
        there = key == "run_dir" and (Path(config.run_dir) / FILE_NAME).is_file()
        found = Path(config.run_dir)
        return _of_run(found, arguments, config, makes_model) if there else config
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
    config = _of_run(folder, given, None, makes_model)
    if key != "run_dir":
        OmegaConf.update(config, key, str(folder), force_add=True)
    return config


def _before(arguments: list[str], one: str) -> str:
    place = arguments.index(one)
    return arguments[place - 1] if place else ""


def _of_run(
    folder: Path, given: list[str], composed: DictConfig | None, makes_model: bool
) -> DictConfig:
    """Change a run's configuration as `given` would have changed it.

    Args:
        folder: the run.
        given: overrides of this command.
        composed: what they compose to by themselves, where they are whole.
        makes_model: whether its model is made.

    Returns:
        The configuration.
    """
    own = with_table(with_search_path(given))
    command = _command(folder)
    if command is None:
        if composed is None:
            raise InputError(
                f"{folder / FILE_NAME}: does not say by which command the run was started",
                remedy="give its overrides and name=..., as in its training",
            )
        return composed
    searched = [o for o in own if key_of(o) == SEARCH_PATH]
    before = _composed(folder, [*command, *searched])
    after = load_config(_joined(command, own))
    named = _named_in(after)
    if makes_model:
        # Its class must be named by this command itself: the run's overrides may be a stranger's.
        named -= {str(OmegaConf.select(after, "model._target_"))}
        named |= _named_in(compose_tree(own) if composed is None else composed)
    saved = read_run_config(folder, named)
    config = OmegaConf.create(_moved(saved, folder))
    old, new = (_values(one) for one in (before, after))
    with open_dict(config):
        for key, value in new.items():
            if key not in _OF_THE_FOLDER and (key not in old or old[key] != value):
                OmegaConf.update(config, key, value, merge=False, force_add=True)
        config.run_dir = str(folder.absolute())
        config.command = after.command
    return config


def _named_in(config: DictConfig) -> set[str]:
    """Names of the classes and of the recipe in a configuration that need not be complete."""
    plain: Any = OmegaConf.to_container(config, resolve=False)
    recipe = OmegaConf.select(config, "corpus.recipe")
    return named_in(plain) | (set() if recipe is None else {str(recipe)})


def _moved(saved: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put the folders of a configuration where they are now, if the whole project was moved.

    That is so where the run lies in a folder named as paths.exp was, and what lay beside that lies
    beside it now.

    Returns:
        The configuration with its folders.
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
    """The overrides that the run was started with, without what no folder may decide."""
    found = read_run_config(folder, sections=["command"]).get("command")
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        return None
    return [one for one in found if not _NOT_FROM_A_RUN.search(one)]


def _joined(command: list[str], given: list[str]) -> list[str]:
    """Both, what is given in the place of overrides of the same key."""
    # Where they stand matters: groups that are added later win.
    left = {key_of(one): one for one in given}
    kept = [left.pop(key_of(one), one) for one in command]
    return [*kept, *(one for one in given if key_of(one) in left)]


def _values(config: DictConfig) -> dict[str, Any]:
    return flattened(OmegaConf.to_container(config, resolve=True), keep_all=True)
