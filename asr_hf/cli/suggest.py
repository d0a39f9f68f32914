"""Finds what is wrong with an override that does not fit, and the nearest one that would fit."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from asr_hf.cli.check import check_targets
from asr_hf.cli.groups import groups, key_of, plus
from asr_hf.cli.kinds import OPEN, entries, known_keys
from asr_hf.runtime.errors import InputError


def problem_of(
    override: str, error: Exception, config: DictConfig, overrides: Sequence[str]
) -> str:
    """Describe what is wrong with an override that does not compose.

    Args:
        override: override as given.
        error: error of Hydra.
        config: configuration without the override.
        overrides: all overrides of the command; they name folders of options.

    Returns:
        The problem, for a message.
    """
    key, _, value = override.lstrip("+~").partition("=")
    options = groups(overrides)
    if "=" not in override:
        return f"{override}: no override"
    if key in options and value not in options[key]:
        return f"{override}: there is no such option"
    if key in options and sum(key_of(o) == key for o in overrides) > 1:
        return f"{override}: {key} is given twice"
    if key in options and re.search("more than once|Multiple values", str(error)):
        return f"{override}: a group with a default is chosen, not added"
    if not re.fullmatch(r"[\w./$@-]+", key, re.ASCII):
        return f"{override}: keys of overrides are of letters a to z, digits, _ and -"
    if (
        key not in options
        and key not in set(keys(config))
        and OmegaConf.select(config, key) is None
    ):
        return f"{override}: there is no such key"
    return f"{override}: {str(error).splitlines()[0]}"


def nearest(override: str, config: DictConfig, overrides: Sequence[str] = ()) -> str:
    """Suggest a remedy for an override that does not fit.

    Args:
        override: override as given.
        config: configuration without the override.
        overrides: all overrides of the command; they name folders of options.

    Returns:
        The remedy, for a message.
    """
    if "=" not in override:
        return "overrides have the form key=value"
    key, _, value = override.lstrip("+~").partition("=")
    options = groups(overrides)
    if key in options:
        return _option(override, key, value, options[key])
    if not key.isascii():
        return "write it into a file of yours, e.g. DIR/corpus/mine.yaml, and add --config-dir DIR"
    known = [*options, *keys(config)]
    if key in known:
        return f"quote the value, as in '{key}=\"...\"', if it holds spaces, brackets or commas"
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if not close or not _alike(close[0].rpartition(".")[2], key.rpartition(".")[2]):
        return "asr-hf config +recipe=... prints every key"
    return f"did you mean {plus(close[0]) if close[0] in options else ''}{close[0]}={value}?"


def _alike(name: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, name, other).ratio() >= 0.6


def _option(override: str, group: str, value: str, options: list[str]) -> str:
    listed = f"options of {group}: {', '.join(options)}"
    close = [value] if value in options else difflib.get_close_matches(value, options, n=1)
    suggestion = f"{plus(group)}{group}={close[0]}" if close else ""
    return listed if suggestion in ("", override) else f"did you mean {suggestion}? {listed}"


def keys(config: Any, prefix: str = "") -> Iterator[str]:
    """Yield every key of a configuration, dotted."""
    if not isinstance(config, DictConfig):
        return
    for name in map(str, config):
        yield f"{prefix}{name}"
        if not OmegaConf.is_missing(config, name) and not OmegaConf.is_interpolation(config, name):
            yield from keys(config[name], f"{prefix}{name}.")


def check_added(config: DictConfig, plain: DictConfig, overrides: Sequence[str]) -> None:
    """Check that overrides with a plus add keys that something reads.

    Keys in files are not checked. An override may add a key that some option of the group has, a
    name in a mapping in which the user chooses names, and a setting of the class at that place.

    Args:
        config: composed configuration.
        plain: configuration with the chosen options and no other overrides.
        overrides: overrides of the command.

    Raises:
        InputError: an override adds another key; the message names the nearest existing key.
    """
    before = {key for key, _ in entries(OmegaConf.to_container(plain, resolve=False))}
    for key, _ in entries(OmegaConf.to_container(config, resolve=False)):
        if key in before:
            continue
        ancestors = ancestors_of(key)
        if any(parent in OPEN for parent in ancestors):
            continue
        if any(f"{parent}._target_" in before for parent in ancestors):
            check_targets(config)
        elif key not in known_keys():
            given = [o for o in overrides if key_of(o) == key or key_of(o).startswith(f"{key}.")]
            inside = next((o for o in overrides if key_of(o) in ancestors), key)
            raise InputError(
                f"{given[0]}: there is no such key"
                if given
                else f"{inside}: there is no such key: {key}",
                remedy=nearest(given[0] if given else f"{key}=...", plain, overrides),
            )


def ancestors_of(key: str) -> list[str]:
    """Return the keys above a key, the nearest first."""
    parts = key.split(".")
    return [".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1)]
