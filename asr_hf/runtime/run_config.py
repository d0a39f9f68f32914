"""Reads the configuration that a run folder keeps, without trusting it.

A run folder may come from anywhere. Its config.yaml is data: no reference in it is followed, it
cannot allow shell commands, and a class or module that it names is loaded only if it is asr-hf's
own or if this command names it too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import yaml

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import conf_dir, recipe_names

log = logging.getLogger(__name__)

FILE_NAME = "config.yaml"
# asr-hf's own files have about 8 kB.
_MAX_BYTES = 1_000_000
_MARK = re.compile(r"_\w+_")
_REMEDY = "name the settings in this command, or a run folder that asr-hf train made"
# Settings that become one part of a path: they must not lead to another folder.
_NAMES = (
    "corpus.name",
    "corpus.clean",
    "corpus.sets",
    "corpus.train_set",
    "corpus.heldout_set",
    "corpus.languages",
    "corpus.decode_data",
    "corpus.augmentation.sets",
    "alignment.system",
    "alignment.tag",
    "lattices.tag",
    "lattices.sets",
    "decode.sets",
    "decode.tune_on",
    "export.sets",
)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Loads plain values, and refuses aliases: a few lines of them can grow to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"an alias in line {self.peek_event().start_mark.line + 1}")
        return super().compose_node(parent, index)


def read_plain_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of keys with plain values; `${...}` stays the text that it is.

    Args:
        path: path of the file.

    Returns:
        The values, by key, in the order of the file.

    Raises:
        InputError: the file cannot be read, is too large, or holds something else.
    """
    try:
        text = _limited_bytes(path)
        # _Loader makes nothing but plain values.
        tree = yaml.load(text.decode("utf-8"), _Loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be read: {reason}", remedy=_REMEDY) from error
    if tree is not None and not isinstance(tree, dict):
        raise InputError(f"{path}: not a configuration", expected="keys with their values")
    return {str(key): value for key, value in (tree or {}).items()}


def _limited_bytes(path: Path) -> bytes:
    with open(path, "rb") as file:
        text = file.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    return text


def read_run_config(
    folder: Path, named: Collection[str] = (), sections: Collection[str] | None = None
) -> dict[str, Any]:
    """Read the configuration of a run, as the base of this command's own.

    features.allow_pipes is always false: only this command may allow shell commands. run_dir is
    `folder`, wherever the run was trained.

    Args:
        folder: the run folder.
        named: full names of the classes and recipes that this command names itself (see
            `named_in`); the file may name them as well.
        sections: keys of the first level that are read; None reads all.

    Returns:
        Plain values, in the order of the file.

    Raises:
        InputError: there is no configuration, or it holds what must come from this command.
    """
    path = folder / FILE_NAME
    config = read_plain_yaml(path)
    if sections is not None:
        config = {key: value for key, value in config.items() if key in sections}
    for key in ("hydra", "defaults"):
        if key in config:
            raise InputError(f"{path}: {key}: not a setting of a run", remedy=_REMEDY)
    for place, value in _settings(config):
        _check(path, place, value, named)
    _check_recipe(path, config, named)
    features = config.get("features")
    if isinstance(features, dict) and features.get("allow_pipes"):
        features["allow_pipes"] = False
        log.warning(
            "%s: features.allow_pipes is not taken from a run: if you trust the commands in its "
            "scp files, add features.allow_pipes=true",
            path,
        )
    if "run_dir" in config:
        config["run_dir"] = str(folder.absolute())
    return config


def named_in(config: Mapping[str, Any]) -> set[str]:
    """List the full names of the classes and of the recipe that a command's configuration names.

    Args:
        config: configuration as plain values.

    Returns:
        The names.
    """
    names = {str(v) for place, v in _settings(config) if place.rpartition(".")[2] == "_target_"}
    corpus = config.get("corpus")
    recipe = corpus.get("recipe") if isinstance(corpus, dict) else None
    return names if recipe is None else names | {str(recipe)}


@cache
def built_in_targets() -> frozenset[str]:
    """Return the full names of the classes that asr-hf's own configuration tree names."""
    trees = [yaml.safe_load(p.read_text(encoding="utf-8")) for p in conf_dir().rglob("*.yaml")]
    settings = (pair for tree in trees for pair in _settings(tree))
    return frozenset(str(v) for place, v in settings if place.rpartition(".")[2] == "_target_")


def _settings(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key of every leaf with its value, and of every group or list with None."""
    if isinstance(value, dict):
        for key, below in value.items():
            here = f"{place}.{key}" if place else str(key)
            if isinstance(below, dict | list):
                yield here, None
            yield from _settings(below, here)
    elif isinstance(value, list):
        for element in value:
            yield from _settings(element, place)
    else:
        yield place, value


def _check(path: Path, place: str, value: Any, named: Collection[str]) -> None:
    leaf = place.rpartition(".")[2]
    if leaf == "_target_":
        if value not in built_in_targets() and value not in named:
            raise InputError(
                f"{path}: {place}: {str(value)[:200]!r} is no class of asr-hf, and this command "
                "does not name it",
                expected="a class of asr-hf's own, or one that this command names",
                remedy=f"if you trust that class, add {place}={str(value)[:200]} to the command, "
                "or the --config-dir DIR and option that the run was trained with",
            )
    elif leaf == "_partial_" and isinstance(value, bool):
        return
    elif _MARK.fullmatch(leaf):
        raise InputError(f"{path}: {place}: not a setting of a run", remedy=_REMEDY)
    if "${" in place or (isinstance(value, str) and "${" in value):
        raise InputError(
            f"{path}: {place}: {str(value)[:200]!r} refers to something else",
            expected="values, as asr-hf train writes them",
            remedy=_REMEDY,
        )
    if not (value is None or isinstance(value, str | int | float)):
        raise InputError(
            f"{path}: {place}: a {type(value).__name__}",
            expected="a text, a number, true, false or null",
            remedy=_REMEDY,
        )
    if isinstance(value, str) or value is None:
        _check_name(path, place, value)


def _check_name(path: Path, place: str, value: str | None) -> None:
    """Refuse a name (of a set, a tag and so on) that is not exactly one part of a path."""
    for key in _NAMES:
        name = value if place == key else None
        if place.startswith(f"{key}."):
            name = place.removeprefix(f"{key}.")
            name = value if key == "corpus.augmentation.sets" and name.endswith(".of") else name
        if name is not None and (PurePath(name).name != name or name in ("", ".", "..")):
            raise InputError(
                f"{path}: {place}: {name[:200]!r} is no name: it leads to another folder",
                expected="one word, without /",
                remedy=_REMEDY,
            )


def _check_recipe(path: Path, config: dict[str, Any], named: Collection[str]) -> None:
    corpus = config.get("corpus")
    recipe = corpus.get("recipe") if isinstance(corpus, dict) else None
    known = (None, "kaldi", *recipe_names(), *named)
    if recipe not in known:
        raise InputError(
            f"{path}: corpus.recipe: {str(recipe)[:200]!r} is no recipe of asr-hf, and this "
            "command does not name it",
            expected=f"one of {', '.join(recipe_names())}, or one that this command names",
            remedy=f"if you trust that module, add corpus.recipe={str(recipe)[:200]} to the "
            "command, or the --config-dir DIR +recipe=OPTION that the run was trained with",
        )
