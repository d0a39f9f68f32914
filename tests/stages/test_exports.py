"""What can be exported is listed once, and each form is one module."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

from asr_hf.cli import export
from asr_hf.stages import exports
from asr_hf.training.export_formats import FORMATS

# What the others share.
SHARED = {"trained"}


def test_every_form_of_the_list_has_a_module_and_every_module_a_place_in_the_list():
    modules = {found.name for found in pkgutil.iter_modules(exports.__path__)}
    assert modules - SHARED == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_every_form_writes_in_the_same_way(name):
    write = importlib.import_module(f"{exports.__name__}.{name}").write
    assert list(inspect.signature(write).parameters) == ["settings", "folder"]


@pytest.mark.parametrize("name", FORMATS)
def test_help_explains_every_form(name):
    assert f"  {name:<10}{FORMATS[name].writes}\n" in export.__doc__
