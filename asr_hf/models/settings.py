"""Checks settings of a model against the parameters of its class."""

from __future__ import annotations

import collections.abc
import difflib
import inspect
import math
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from asr_hf.runtime.own_code import parameters_of

# What the data decide, not the configuration.
GIVEN = ("feature_dim", "num_pdfs", "seed")

_PLAIN: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    type(None): "null",
}
_SEQUENCES = (list, tuple, collections.abc.Sequence, collections.abc.Iterable)
_MAPPINGS = (dict, collections.abc.Mapping)


def check_settings(kind: type, settings: Mapping[str, Any]) -> None:
    """Check that settings are plain values, and that the class takes them.

    Args:
        kind: the class.
        settings: the settings by the name of the parameter, without those in `GIVEN`.

    Raises:
        ValueError: a setting is unknown, missing, of another type or describes an object. The
            message begins with its name.
    """
    parameters = parameters_of(kind)
    known, hints = [name for name in parameters if name not in GIVEN], _hints(kind)
    for name, value in settings.items():
        check_plain(value, name)
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            listed = ", ".join(known) or "none"
            raise ValueError(f"{name}: {kind.__name__} has the settings {listed}{hint}")
        if not _fits(value, hints.get(name, Any)):
            raise ValueError(f"{name}: {_shown(value)}, expected {_in_words(hints[name])}")
    for name in known:
        if parameters[name].default is inspect.Parameter.empty and name not in settings:
            raise ValueError(f"{name}: {kind.__name__} needs it")


def check_plain(value: Any, name: str) -> None:
    """Check that a value is one of JSON, and describes neither an object nor a reference.

    Args:
        value: the value.
        name: name of the setting, for the message.

    Raises:
        ValueError: the value is no plain value.
    """
    if isinstance(value, list):
        for item in value:
            check_plain(item, name)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or key.startswith("_"):
                raise ValueError(f"{name}.{_shown(key)}: a setting is a plain value")
            check_plain(item, f"{name}.{key}")
    elif isinstance(value, str):
        if "${" in value:
            raise ValueError(f"{name}: {_shown(value)}: a setting is a plain value")
    elif not (value is None or isinstance(value, int | float)):
        raise ValueError(f"{name}: {_shown(value)}: a setting is a plain value")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}: {value}: a setting is finite")


def _hints(kind: type) -> dict[str, Any]:
    hints: dict[str, Any] = {}
    for base in inspect.getmro(kind):
        # Names may exist only for type checkers.
        with suppress(Exception):
            hints = typing.get_type_hints(base.__init__) | hints  # type: ignore[misc]
    return hints


def _fits(value: Any, hint: Any) -> bool:
    """Say whether a plain value is of the type that a parameter is annotated with."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in inner)
    if origin is typing.Literal:
        return value in inner
    if (origin or hint) in _SEQUENCES:
        kinds = [kind for kind in inner if kind is not Ellipsis]
        item_hint = kinds[0] if len(set(kinds)) == 1 else Any
        return isinstance(value, list) and all(_fits(item, item_hint) for item in value)
    if (origin or hint) in _MAPPINGS:
        value_hint = inner[1] if len(inner) == 2 else Any
        return isinstance(value, dict) and all(_fits(item, value_hint) for item in value.values())
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in _PLAIN:
        return isinstance(value, hint)
    return True


def _in_words(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_in_words, inner))
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, inner))}"
    if (origin or hint) in _SEQUENCES:
        return "a list" + (f", each {_in_words(inner[0])}" if inner else "")
    if (origin or hint) in _MAPPINGS:
        return "names with values"
    return _PLAIN.get(hint, str(hint))


def _shown(value: Any) -> str:
    return repr(value)[:80]
