"""The commands of the project's pages, given to a shell word for word."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from asr_hf.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
# A fenced block, or a command in the middle of a sentence.
_STEP = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$"
    r"|`(?P<inline>(?:asr-hf|bash|cd|cp|make|pip|python3?|sbatch|source|torchrun) [^`]+)`",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"`([^`\s]+\.\w+)`:$")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\w+=(\"[^\"]*\"|\S*)")


@dataclass(frozen=True)
class Block:
    """What a page shows as code.

    Args:
        language: after the fence: sh for commands, text for what is printed, or that of a file.
        text: what is in it.
        file: name of the file that holds it, where the words before it end in such a name.
    """

    language: str
    text: str
    file: str | None = None

    @property
    def commands(self) -> list[str]:
        """The commands, a line each, without comments."""
        if self.language != "sh":
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for x in lines if (line := _COMMENT.sub("", x).strip())]


class Page:
    """A page of the project.

    Args:
        name: its path in the repository.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._text = (ROOT / name).read_text(encoding="utf-8")

    def blocks(self, title: str | None = None) -> Iterator[Block]:
        """All its code in order, or that under a title; commands in sentences are blocks too."""
        text = self._text
        if title is not None:
            part = re.search(rf"^## {title}$.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
            assert part, title
            text = part[0]
        for found in _STEP.finditer(text):
            if found["inline"]:
                yield Block("sh", " ".join(found["inline"].split()))
            else:
                language, code = found["language"], textwrap.dedent(found["text"])
                named = None
                if language not in {"sh", "text"}:
                    named = _FILE.search(text[: found.start()].rstrip())
                yield Block(language, code, named[1] if named else None)

    def commands(self, title: str | None = None) -> dict[str, str]:
        """The first command of asr-hf with each verb, in order."""
        found: dict[str, str] = {}
        for line in (line for block in self.blocks(title) for line in block.commands):
            program, verb, *_ = [*line.split(), ""]
            if program == "asr-hf":
                found.setdefault(verb, line)
        return found


def _ours() -> dict[str, str]:
    """The environment without what `make test` gives its own recipes: flags, jobs and ARGS."""
    of_make = {"ARGS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"}
    return {key: value for key, value in os.environ.items() if key not in of_make}


class Shell:
    """A shell in a folder. It knows the variables that it was given, and follows `cd`.

    What is to be killed runs in a process of its own, which loads torch again. The rest of asr-hf
    runs in this one, with the words that a shell makes of the command.

    Args:
        folder: where it begins.
        programs: folders of programs that it takes before others of their names.
    """

    def __init__(self, folder: Path, programs: Sequence[Path] = ()) -> None:
        self.folder = folder
        self._path = os.pathsep.join(
            [*map(str, programs), str(Path(sys.executable).parent), os.environ["PATH"]]
        )
        self._variables: list[str] = []

    def start(self, line: str, more: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start a command with more at its end, in a process of its own."""
        return subprocess.Popen(
            ["bash", "-c", self._script(f"exec {line} {shlex.join(more)}")],
            cwd=self.folder,
            env={**_ours(), "PATH": self._path, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def words(self, line: str, more: Sequence[str] = ()) -> list[str]:
        """What a shell makes of a command with more at its end."""
        bash = ["bash", "-c", self._script(f"printf '%s\\0' {line} {shlex.join(more)}")]
        done = subprocess.run(bash, cwd=self.folder, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode().split("\0")[:-1]

    def run(self, line: str, more: Sequence[str] = ()) -> str:
        """Run a command, which has to succeed; returns all that it said."""
        if _VARIABLE.fullmatch(line):
            self._variables.append(line)
            return ""
        program, *arguments = self.words(line, more)
        if program == "cd":
            [goal] = arguments
            self.folder /= goal
            return ""
        if program == "asr-hf":
            code, said = self._asr_hf(arguments)
        else:
            process = self.start(line, more)
            said, _ = process.communicate()
            code = process.returncode
        if code and "cannot be had" in said and not os.environ.get("CI"):
            pytest.skip(f"no real speech on this machine: {said}")
        assert code == 0, f"{line}\n{said}"
        return said

    def python(self, text: str) -> None:
        """Run a program of a page."""
        subprocess.run([sys.executable, "-c", text], cwd=self.folder, check=True)

    def _script(self, line: str) -> str:
        return "\n".join([*self._variables, line])

    def _asr_hf(self, arguments: list[str]) -> tuple[int, str]:
        said = io.StringIO()
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            try:
                code = main(arguments)
            except SystemExit as ended:
                # Another process of the command has said why, on its own standard error.
                code = int(ended.code or 0)
        return code, said.getvalue()


def as_clone(folder: Path) -> Path:
    """Put into a folder what its reader finds in a clone, and what was fetched before."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    for linked in ("scripts", "tests", ".cache"):
        (folder / linked).symlink_to(ROOT / linked)
    return folder
