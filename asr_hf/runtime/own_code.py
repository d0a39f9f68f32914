"""Finds classes and modules of the user's own, which the configuration of this command names.

Names from the files of a run or of a corpus are never looked up here.
"""

from __future__ import annotations

import importlib
import inspect
import re
import types
from typing import Any

from asr_hf.runtime.errors import InputError

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def is_full_name(name: object) -> bool:
    """Return whether `name` can be the full name of a class or module, such as mine.models.Mine."""
    return isinstance(name, str) and len(name) < 200 and _DOTTED.fullmatch(name) is not None


def find_module(name: str, key: str) -> types.ModuleType:
    """Import a module.

    Args:
        name: full name of the module.
        key: key of the setting that names it, for messages.

    Returns:
        The module.

    Raises:
        InputError: there is no such module, or importing it fails.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:  # a package of the user's own may fail in any way
        missing = isinstance(error, ModuleNotFoundError) and name.startswith(str(error.name))
        raise InputError(
            f"{key}: the module {name} cannot be imported: {type(error).__name__}: {error}",
            expected="a package that Python finds",
            remedy="install it (pip install -e DIR), or put its folder into PYTHONPATH"
            if missing
            else f"python -c 'import {name}' shows where it fails",
        ) from error


def find_class(name: str, key: str) -> type[Any]:
    """Import the module of a class and return the class.

    Args:
        name: full name of the class.
        key: key of the setting that names it, for messages.

    Returns:
        The class.

    Raises:
        InputError: there is no such class, or its module cannot be imported.
    """
    if not is_full_name(name):
        raise InputError(
            f"{key}: {name!r} cannot be imported: it is no full name",
            expected="the full name of a class, e.g. asr_hf.models.dnn.DNN",
        )
    module, _, class_name = name.rpartition(".")
    cls = getattr(find_module(module, key), class_name, None)
    if cls is None:
        raise InputError(
            f"{key}: {name} cannot be imported: {module} has no {class_name}",
            expected="the full name of a class, e.g. asr_hf.models.dnn.DNN",
        )
    if not inspect.isclass(cls):
        raise InputError(
            f"{key}: {name} is no class", expected="a class, e.g. asr_hf.models.dnn.DNN"
        )
    return cls


def parameters_of(target: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of `target` by name; **keywords stands for those of its base class."""
    callables = inspect.getmro(target) if inspect.isclass(target) else [target]
    named: dict[str, inspect.Parameter] = {}
    for taker in callables:
        parameters = inspect.signature(taker).parameters
        named = {
            name: parameter
            for name, parameter in parameters.items()
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        } | named
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return named
