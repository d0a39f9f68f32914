"""Makes dataclasses of settings from plain values, by the type hints of their fields."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from asr_hf.runtime.errors import InputError
from asr_hf.settings.kinds import FLAG, GROUP, LIST, NOTHING, NUMBER, TEXT, shown

T = TypeVar("T")
# Makes a value of a type that the maker does not know, from a plain value and its key.
Maker = Callable[[Any, str], Any]
Makers = Mapping[Any, Maker]

_ONE_OR_MORE = "one or more"
# Metadata of a field whose tuple may be given as a single value.
ONE_OR_MORE = {_ONE_OR_MORE: True}
_NAMES: dict[Any, str] = {
    bool: FLAG,
    int: NUMBER,
    float: NUMBER,
    str: TEXT,
    Path: TEXT,
    type(None): NOTHING,
}


class MissingSetting(InputError):
    """A setting that is needed and not there."""


class _WrongKind(Exception):
    """A value that does not fit a type hint."""


def make(kind: type[T], values: Any, key: str, makers: Makers = types.MappingProxyType({})) -> T:
    """Make a dataclass from a mapping of plain values.

    Keys that are no fields of the dataclass are left alone. A whole number may be given with a
    decimal point; other numbers stay as they are, so that records of them do, too.

    Args:
        kind: dataclass to make.
        values: plain values by the names of its fields.
        key: dotted key of the mapping, for messages; empty for the whole configuration.
        makers: functions that make types other than plain values and dataclasses.

    Returns:
        The dataclass.

    Raises:
        MissingSetting: a field without default is not among the values.
        InputError: a value does not fit the type hint of its field.
    """
    if not isinstance(values, Mapping):
        problem = _misfit(key, values, kind)
        raise problem
    hints = _hints(typing.cast(Any, kind))
    made = {}
    for field in fields(typing.cast(Any, kind)):
        place = f"{key}.{field.name}" if key else field.name
        if field.name in values:
            made[field.name] = _field_value(field, hints[field.name], values, place, makers)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise MissingSetting(
                f"there is no {place}", remedy="asr-hf config with the same overrides prints all"
            )
    return kind(**made)


def _field_value(
    field: Field[Any], hint: Any, values: Mapping[str, Any], place: str, makers: Makers
) -> Any:
    value = values[field.name]
    if field.metadata.get(_ONE_OR_MORE) and value is not None and not _is_list(value):
        value = [value]
    return _converted(hint, value, place, makers)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _converted(hint: Any, value: Any, key: str, makers: Makers) -> Any:
    """Turn a plain value into a value of the type of a hint."""
    try:
        return _fitted(hint, value, key, makers)
    except _WrongKind:
        raise _misfit(key, value, hint) from None


def _fitted(hint: Any, value: Any, key: str, makers: Makers) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if hint in makers:
        return makers[hint](value, key)
    if origin in (types.UnionType, typing.Union):
        return _one_of(inner, value, key, makers)
    if origin is tuple:
        if not _is_list(value):
            raise _WrongKind
        return tuple(
            _converted(inner[0], item, f"{key}[{number}]", makers)
            for number, item in enumerate(value)
        )
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _WrongKind
        return {str(k): _converted(inner[1], v, f"{key}.{k}", makers) for k, v in value.items()}
    if is_dataclass(hint):
        return make(typing.cast(Any, hint), value, key, makers)
    return _plain(hint, value)


def _one_of(hints: tuple[Any, ...], value: Any, key: str, makers: Makers) -> Any:
    """Turn a value into the first of several types that it fits."""
    if value is None and type(None) in hints:
        return None
    others = [hint for hint in hints if hint is not type(None)]
    if len(others) == 1:
        return _fitted(others[0], value, key, makers)
    for hint in others:
        try:
            return _fitted(hint, value, key, makers)
        except _WrongKind:
            continue
    raise _WrongKind


def _plain(hint: Any, value: Any) -> Any:
    """Check a text, number or flag."""
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool):
        fits = hint is bool
    elif hint is float:
        fits = isinstance(value, int | float)
    else:
        fits = isinstance(value, hint)
    if not fits:
        raise _WrongKind
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _misfit(key: str, value: Any, hint: Any) -> InputError:
    """Return the error for a value that does not fit a type hint."""
    names = dict.fromkeys(_names(hint))
    return InputError(
        f"{key}: {shown(value)} where {' or '.join(names)} belongs",
        expected="a whole number" if hint is int and isinstance(value, float) else "",
        remedy="asr-hf config with the same overrides prints it",
    )


def _names(hint: Any) -> list[str]:
    """Return the names, for messages, of the kinds of values that fit a type hint."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return [name for member in typing.get_args(hint) for name in _names(member)]
    if origin is tuple:
        return [LIST]
    return [_NAMES.get(hint, GROUP)]
