"""The page on data directories of one's own, word for word."""

from __future__ import annotations

import re
import shlex

import pytest

from asr_hf.cli.compose import load_config
from asr_hf.runtime.resources import conf_dir

PAGE = conf_dir().parent / "docs" / "your-data.md"
SECTION = PAGE.read_text(encoding="utf-8").split("## With data directories of your own")[1]
YAML = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
# What works on a run folder takes its settings from there.
COMMANDS = re.findall(r"asr-hf (?:features|align|train) .*", SECTION)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files that the page has one write."""
    monkeypatch.chdir(tmp_path)
    for group, text in zip(("corpus", "recipe"), YAML, strict=True):
        (tmp_path / "conf_mine" / group).mkdir(parents=True)
        lines = [line.removeprefix("   ") for line in text.splitlines()]
        (tmp_path / "conf_mine" / group / "mine.yaml").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_find_the_corpus(command, folder):
    config = load_config(shlex.split(command)[2:])
    assert config.corpus.dir == str(folder / "data" / "mine")
    assert config.features.sample_rate == 16000 and list(config.corpus.languages) == ["en"]


def test_its_recipe_stands_for_the_overrides(folder):
    given = ["corpus=mine", "name=mine", "features.sample_rate=16000"]
    own = ["--config-dir", "conf_mine"]
    assert len(COMMANDS) == 3
    recipe, overrides = (load_config([*own, *one]) for one in (["+recipe=mine"], given))
    recipe.command = overrides.command
    assert recipe == overrides
