"""Classes and modules of the user's own, named in the configuration of this command.

Names that stand in a file of a run or of a corpus never come here.
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
        name: its full name.
        key: of the setting that names it, for messages.

    Raises:
        InputError: there is none, or importing it fails.
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
        name: its full name.
        key: of the setting that names it, for messages.

    Raises:
        InputError: there is no such class.
    """
    if not is_full_name(name):
        raise InputError(
            f"{key}: {name!r} cannot be imported: it is no full name",
            expected="the full name of a class, e.g. asr_hf.models.dnn.DNN",
        )
    module, _, noun = name.rpartition(".")
    found = getattr(find_module(module, key), noun, None)
    if found is None:
        raise InputError(
            f"{key}: {name} cannot be imported: {module} has no {noun}",
            expected="the full name of a class, e.g. asr_hf.models.dnn.DNN",
        )
    if not inspect.isclass(found):
        raise InputError(
            f"{key}: {name} is no class", expected="a class, e.g. asr_hf.models.dnn.DNN"
        )
    return found


def parameters_of(target: Any) -> dict[str, inspect.Parameter]:
    """Return what `target` can be given, by keyword; **keywords go on to its base classes."""
    classes = inspect.getmro(target) if inspect.isclass(target) else [target]
    found: dict[str, inspect.Parameter] = {}
    for one in classes:
        own = inspect.signature(one).parameters
        found = {
            k: p for k, p in own.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        } | found
        if not any(p.kind is p.VAR_KEYWORD for p in own.values()):
            break
    return found
