"""Pages that are walked once for all tests, each in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ..once import once
from ..pages import Page, Shell
from .ways import SLURM, WAYS, Way, begin

Walked = Callable[[str], Path]


def walk(page: Page, shell: Shell, way: Way) -> None:
    """Do all that a page says: run its commands and programs, write its files."""
    for block in page.blocks():
        for line in block.commands:
            _run(line, shell, way)
        if block.file is not None:
            path = shell.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            shell.python(block.text)


def _run(line: str, shell: Shell, way: Way) -> None:
    instead = way.instead.get(line)
    if instead is None:
        shell.run(line, way.more(shell.words(line)))
    elif instead.command is not None:
        said = shell.run(instead.command)
        for printed in said.replace("\\\n", " ").splitlines() if instead.onwards else ():
            program, _, rest = printed.partition(" ")
            if program.endswith("/asr-hf"):
                _run(f"asr-hf {rest}", shell, way)


def copied(folder: Path, goal: Path) -> None:
    """Copy a page's folder, with its own paths, to one that is not there yet."""
    shutil.copytree(folder, goal, symlinks=True)
    for path in (*goal.rglob("*.scp"), *goal.rglob("config.yaml")):
        path.write_text(path.read_text().replace(str(folder), str(goal)))


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """Gives the folder that a page's commands leave, of the pages in ways.py."""

    def folder_of(name: str) -> Path:
        way = WAYS[name]
        before = folder_of(way.after) if way.after else None

        def make(folder: Path) -> None:
            clone = folder / "asr-hf"
            # Of an attempt that failed.
            shutil.rmtree(clone, ignore_errors=True)
            if before is not None:
                copied(before, clone)
            else:
                clone.mkdir()
                begin(clone)
            walk(Page(name), Shell(clone, [SLURM]), way)

        return once(tmp_path_factory, name.replace("/", "-"), make) / "asr-hf"

    return folder_of
