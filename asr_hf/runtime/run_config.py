"""The configuration that a run folder keeps, read without trust.

A run folder may come from anywhere. What stands in its config.yaml is data: no reference in it is
followed, no class or module in it is loaded that asr-hf does not have or that the command does not
name itself, and it turns no shell on.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import conf_dir, recipe_names

log = logging.getLogger(__name__)

FILE_NAME = "config.yaml"
# Ours take about 8 kB.
_MAX_BYTES = 1_000_000
# Built in, and chosen by no option of the tree.
_OTHERS = ("asr_hf.baselines.schedules.Cosine",)
_MARK = re.compile(r"_\w+_")
_REMEDY = "name the settings in this command, or a run folder that asr-hf train made"
# Settings that become a part of a path: they must stay where they belong.
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
    """Plain values only, and no anchors: a few lines of those grow to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"an alias in line {self.peek_event().start_mark.line + 1}")
        return super().compose_node(parent, index)


def read_plain_yaml(path: Path) -> dict[str, Any]:
    """Read keys with plain values; `${...}` in them stays the text that it is.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        # _Loader makes nothing but plain values.
        found = yaml.load(text.decode("utf-8"), _Loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be read: {said}", remedy=_REMEDY) from error
    if found is not None and not isinstance(found, dict):
        raise InputError(f"{path}: not a configuration", expected="keys with their values")
    return {str(key): value for key, value in (found or {}).items()}


def read_run_config(
    folder: Path, named: Collection[str] = (), sections: Collection[str] | None = None
) -> dict[str, Any]:
    """Return the configuration of the run in `folder`, fit to be the base of this command's.

    features.allow_pipes is not taken over: whether commands run is for this command to say. The
    run folder is the one that it stands in.

    Args:
        folder: the run folder.
        named: full names of classes and recipes that this command itself names (see `named_in`);
            they may stand in the file as well.
        sections: keys of the first level that are wanted; None wants all.

    Returns:
        Plain values, in the order of the file.

    Raises:
        InputError: there is no configuration, or something in it that must come from this command.
    """
    path = folder / FILE_NAME
    found = read_plain_yaml(path)
    if sections is not None:
        found = {key: value for key, value in found.items() if key in sections}
    for key in ("hydra", "defaults"):
        if key in found:
            raise InputError(f"{path}: {key}: not a setting of a run", remedy=_REMEDY)
    for place, value in _settings(found):
        _check(path, place, value, named)
    _check_recipe(path, found, named)
    features = found.get("features")
    if isinstance(features, dict) and features.get("allow_pipes"):
        features["allow_pipes"] = False
        log.warning(
            "%s: features.allow_pipes is not taken from a run: if you trust the commands in its "
            "scp files, add features.allow_pipes=true",
            path,
        )
    if "run_dir" in found:
        found["run_dir"] = str(folder.absolute())
    return found


def named_in(config: DictConfig) -> set[str]:
    """Full names of the classes and of the recipe that the configuration of a command names."""
    plain = OmegaConf.to_container(config, resolve=False)
    found = {str(v) for place, v in _settings(plain) if place.rpartition(".")[2] == "_target_"}
    recipe = OmegaConf.select(config, "corpus.recipe")
    return found if recipe is None else found | {str(recipe)}


@cache
def built_in_targets() -> frozenset[str]:
    """Full names of the classes that asr-hf's own configuration can name."""
    trees = [yaml.safe_load(p.read_text(encoding="utf-8")) for p in conf_dir().rglob("*.yaml")]
    settings = (pair for tree in trees for pair in _settings(tree))
    found = {str(v) for place, v in settings if place.rpartition(".")[2] == "_target_"}
    return frozenset(found.union(_OTHERS))


def _settings(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that is no group, and every key, with its dotted place."""
    if isinstance(value, dict):
        for key, below in value.items():
            here = f"{place}.{key}" if place else str(key)
            if isinstance(below, dict | list):
                yield here, None
            yield from _settings(below, here)
    elif isinstance(value, list):
        for one in value:
            yield from _settings(one, place)
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
    """Names of sets, tags and the like are one part of a path."""
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


def _check_recipe(path: Path, found: dict[str, Any], named: Collection[str]) -> None:
    corpus = found.get("corpus")
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
