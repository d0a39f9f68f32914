"""docs/your-classes.md says what the example package and the checks do."""

from __future__ import annotations

import re
import shlex

import pytest

from asr_hf.cli.check import _METHODS
from asr_hf.cli.compose import load_config

from .conftest import HERE

PAGE = (HERE.parents[1] / "docs" / "your-classes.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^asr-hf (.+)$", PAGE, re.MULTILINE)


def test_its_option_is_that_of_the_package():
    (quoted,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert quoted == (HERE / "conf/model/residual.yaml").read_text(encoding="utf-8")


def test_its_tree_is_that_of_the_package():
    for name in ("models", "preconditioners", "criteria", "recipe"):
        assert f"{name}.py" in PAGE and (HERE / "mine" / f"{name}.py").is_file()
    for path in (HERE / "conf").rglob("*.yaml"):
        assert str(path.relative_to(HERE / "conf")) in PAGE


@pytest.mark.parametrize("group", sorted(_METHODS))
def test_its_table_has_every_method(group):
    (row,) = re.findall(rf"^\| {group} \|.*$", PAGE, re.MULTILINE)
    assert all(f"`{method}`" in row for method in _METHODS[group])


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_compose(command, monkeypatch):
    monkeypatch.chdir(HERE)
    verb, *given = shlex.split(command)
    config = load_config(given[1:] if verb == "export" else given)
    assert config.corpus.recipe == "mine.recipe"
    if "model=residual" in given:
        assert config.model._target_ == "mine.models.Residual"


def test_there_are_commands():
    assert len(COMMANDS) == 6
