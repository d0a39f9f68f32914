"""What an override that does not fit should have been."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import conf_dir


def groups() -> dict[str, list[str]]:
    """Config groups and their options, without Hydra's own and what options share (_*.yaml)."""
    return {
        folder.name: sorted(p.stem for p in folder.glob("[!_]*.yaml"))
        for folder in sorted(conf_dir().iterdir())
        if folder.is_dir() and folder.name != "hydra"
    }


@cache
def added_groups() -> frozenset[str]:
    """Groups without a default: they are added, so a plus stands before them."""
    tree = OmegaConf.load(conf_dir() / "train.yaml")
    assert isinstance(tree, DictConfig)
    chosen = {str(key) for line in tree.defaults if isinstance(line, DictConfig) for key in line}
    return frozenset(groups()) - chosen


def nearest(override: str, config: DictConfig) -> str:
    """The remedy for one override that does not fit.

    Args:
        override: as given.
        config: what it was to change.
    """
    if "=" not in override:
        return "overrides have the form key=value"
    key, _, value = override.lstrip("+~").partition("=")
    options = groups()
    if key in options:
        return _option(override, key, value, options[key])
    known = [*options, *keys(config)]
    if key in known:
        return f"quote the value, as in '{key}=\"...\"', if it holds spaces, brackets or commas"
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if not close or not _alike(close[0].rpartition(".")[2], key.rpartition(".")[2]):
        return "asr-hf config +recipe=... prints every key"
    return f"did you mean {_plus(close[0])}{close[0]}={value}?"


def _alike(name: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, name, other).ratio() >= 0.6


def _option(override: str, group: str, value: str, options: list[str]) -> str:
    listed = f"options of {group}: {', '.join(options)}"
    close = [value] if value in options else difflib.get_close_matches(value, options, n=1)
    suggestion = f"{_plus(group)}{group}={close[0]}" if close else ""
    return listed if suggestion in ("", override) else f"did you mean {suggestion}? {listed}"


def _plus(key: str) -> str:
    return "+" if key in added_groups() else ""


def keys(config: Any, prefix: str = "") -> Iterator[str]:
    """Every key of a configuration, dotted."""
    if not isinstance(config, DictConfig):
        return
    for name in map(str, config):
        yield f"{prefix}{name}"
        if not OmegaConf.is_missing(config, name) and not OmegaConf.is_interpolation(config, name):
            yield from keys(config[name], f"{prefix}{name}.")


def check_types(
    overrides: list[str], config: DictConfig, compose: Callable[[list[str]], DictConfig]
) -> None:
    """Check that overrides keep the kind of value the tree has: a number stays a number.

    Args:
        overrides: as given.
        config: composed with them.
        compose: composes the tree with the overrides it is given.

    Raises:
        InputError: one does not.
    """
    options = groups()
    # Hydra checks its own.
    named = [(o, o.partition("=")[0]) for o in overrides if not _is_hydras(o)]
    changed = [(o, key) for o, key in named if key[:1] not in "+~" and key not in options]
    if not changed:
        return
    hydras = [o for o in overrides if "hydra.searchpath" in o]
    plain = compose(hydras + [o for o, key in named if key.lstrip("+~") in options])
    for override, key in changed:
        before, after = _kind(plain, key), _kind(config, key)
        # A number may stand for a text, as in name=2024.
        if before != after and None not in (before, after) and before != "a text":
            raise InputError(
                f"{override}: {after} where {before} belongs",
                expected=f"as in {key}={OmegaConf.select(plain, key)}",
            )


def _is_hydras(override: str) -> bool:
    return override.lstrip("+~").startswith(("hydra.", "hydra/"))


def _kind(config: DictConfig, key: str) -> str | None:
    """What kind of value stands at `key`; None where anything may."""
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    if not isinstance(node, DictConfig) or leaf not in node:
        return None
    if OmegaConf.is_missing(node, leaf) or OmegaConf.is_interpolation(node, leaf):
        return None
    value = node[leaf]
    kinds: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "a text"),
        (ListConfig, "a list"),
        (DictConfig, "a group of settings"),
    ]
    return next((name for kind, name in kinds if isinstance(value, kind)), None)
