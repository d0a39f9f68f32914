"""The folders of the configuration tree and of the recipes, installed or in a checkout."""

from __future__ import annotations

import difflib
import importlib
import sys
import types
from pathlib import Path

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.own_code import find_module, is_full_name

_PACKAGE = Path(__file__).resolve().parents[1]
_RECIPES = "asr_hf_recipes"


def conf_dir() -> Path:
    """Return the folder of the Hydra configuration tree."""
    return _folder("conf")


def recipes_dir() -> Path:
    """Return the folder that holds a folder for each recipe."""
    return _folder("recipes")


def _folder(name: str) -> Path:
    # A wheel has the folder inside the package, a checkout beside it.
    installed, checkout = _PACKAGE / name, _PACKAGE.parent / name
    return installed if installed.is_dir() else checkout


def recipe_names() -> list[str]:
    """Return the names of the recipes, sorted."""
    return sorted(p.parent.name for p in recipes_dir().glob("*/prepare.py"))


def load_recipe(name: str) -> types.ModuleType:
    """Import recipes/<name>/prepare.py, or a module of the user's own.

    A recipe's relative imports work.

    Args:
        name: name of a recipe, or full name of a module with a function `prepare`. It must come
            from the configuration of this command.

    Returns:
        The module.

    Raises:
        InputError: there is no such recipe or module, or the module has no function `prepare`.
    """
    if is_full_name(name):
        module = find_module(name, "corpus.recipe")
        if not callable(getattr(module, "prepare", None)):
            raise InputError(
                f"corpus.recipe: the module {name} makes no corpus",
                expected="a function prepare(config), which returns what corpus.json holds",
            )
        return module
    if name not in recipe_names():
        near = difflib.get_close_matches(str(name), recipe_names(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(
            f"corpus.recipe: there is no recipe {name!r}",
            expected=f"one of {', '.join(recipe_names())}, or the full name of a module of your "
            "own, e.g. mine.recipe",
            remedy=f"{hint}recipes stand in {recipes_dir()}",
        )
    if _RECIPES not in sys.modules:
        package = types.ModuleType(_RECIPES)
        package.__path__ = [str(recipes_dir())]
        sys.modules[_RECIPES] = package
    return importlib.import_module(f"{_RECIPES}.{name}.prepare")
