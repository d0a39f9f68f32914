"""Every command of README.md and of the tutorials runs, with more at its end that shortens it."""

from __future__ import annotations

import re

import pytest

from scripts.site.navigation import SECTIONS

from ..pages import Page
from .ways import WAYS

[TUTORIALS] = [section.pages for section in SECTIONS if section.title == "Tutorials"]
PAGES = ["README.md", *TUTORIALS]
# What a reader would type, at the beginning of a line.
TYPED = re.compile(r"^\s*(\$ |(asr-hf|bash|cd|cp|make|pip|python3?|sbatch|source|torchrun) )", re.M)


def test_every_page_has_its_way():
    assert sorted(WAYS) == sorted(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_every_command_runs(walked, name):
    folder = walked(name)
    missing = [file for file in WAYS[name].leaves if not (folder / file).is_file()]
    assert missing == []


@pytest.mark.parametrize("name", PAGES)
def test_every_block_says_whether_it_is_typed(name):
    for block in Page(name).blocks():
        if block.language not in {"sh", "python"}:
            assert block.file or block.language == "text", block.text
            assert block.file or not TYPED.search(block.text), block.text


@pytest.mark.parametrize("name", PAGES)
def test_what_no_test_can_run_is_on_the_page(name):
    commands = [line for block in Page(name).blocks() for line in block.commands]
    assert commands and set(WAYS[name].instead) <= set(commands)
