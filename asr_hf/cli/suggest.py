"""What an override that does not fit should have been."""

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
    """Say what is wrong with an override that does not compose.

    Args:
        override: as given.
        error: what Hydra says of it.
        config: what it was to change.
        overrides: all of them; they name folders of options.

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
    """Find the remedy for one override that does not fit.

    Args:
        override: as given.
        config: what it was to change.
        overrides: all of them; they name folders of options.

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
    """Every key of a configuration, dotted."""
    if not isinstance(config, DictConfig):
        return
    for name in map(str, config):
        yield f"{prefix}{name}"
        if not OmegaConf.is_missing(config, name) and not OmegaConf.is_interpolation(config, name):
            yield from keys(config[name], f"{prefix}{name}.")


def check_added(config: DictConfig, plain: DictConfig, overrides: Sequence[str]) -> None:
    """Check that overrides with a plus add what something reads.

    What files have is taken as it is. An override may add what some option of the group has, a
    name where names are the user's, and a setting of the class that stands there.

    Args:
        config: the composed configuration.
        plain: with the groups that are chosen and no other overrides.
        overrides: as given.

    Raises:
        InputError: one adds something else; the message names the nearest key that there is.
    """
    before = {key for key, _ in entries(OmegaConf.to_container(plain, resolve=False))}
    found = (key for key, _ in entries(OmegaConf.to_container(config, resolve=False)))
    for key in (key for key in found if key not in before):
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
    """The keys above a key, the nearest first."""
    parts = key.split(".")
    return [".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1)]
