"""A small package of prompts, laid out as Debian's packages or the project's tarballs are."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from omegaconf import DictConfig

from asr_hf.cli.compose import load_config
from asr_hf.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
# The scripts are no part of the installed package: they are found from the checkout.
sys.path.insert(0, str(ROOT))
# Words of the toy prompts stand in several sentences, so that some may be held out.
_VERBS = ("press", "dial", "enter", "record", "delete", "save", "repeat", "play")
_THINGS = ("your message", "the number", "a new extension", "your password", "the conference")
TRANSCRIPTS = {
    "beep": "[this is a simple beep tone]",
    "digits/1": "one",
    "digits/2": "two",
    "letters/at": "at [@]",
    "vm-goodbye": "Goodbye",
    **{
        f"vm-{verb}{i}": f"Please {verb} {thing}."
        for verb in _VERBS
        for i, thing in enumerate(_THINGS)
    },
    **{f"to-{verb}": f"To {verb} it, dial {i}." for i, verb in enumerate(_VERBS, start=1)},
}


def write_package(
    root: Path,
    debian: bool = True,
    transcripts: dict[str, str] = TRANSCRIPTS,
    rate: int = 8000,
) -> Path:
    """Write recordings of plausible length and their list; returns the folder of recordings."""
    sounds = root / "usr/share/asterisk/sounds/en_US_f_Allison" if debian else root
    doc = root / "usr/share/doc/asterisk-core-sounds-en" if debian else root
    listed = "\ufeff; Core Asterisk Sounds\n\n" + "".join(
        f"{name}: {text}\n" for name, text in transcripts.items()
    )
    doc.mkdir(parents=True, exist_ok=True)
    if debian:
        (doc / "core-sounds-en.txt.gz").write_bytes(gzip.compress(listed.encode()))
    else:
        (doc / "core-sounds-en.txt").write_text(listed, encoding="utf-8")
    noise = np.random.default_rng(0)
    for name, text in transcripts.items():
        wav = sounds / f"{name}.wav"
        wav.parent.mkdir(parents=True, exist_ok=True)
        samples = noise.normal(scale=0.1, size=int(rate * (0.2 + 0.08 * len(text))))
        soundfile.write(wav, samples, rate, subtype="PCM_16")
    return sounds


@pytest.fixture(scope="session")
def package() -> Callable[..., Path]:
    return write_package


@pytest.fixture
def toy_transcripts() -> dict[str, str]:
    return dict(TRANSCRIPTS)


@pytest.fixture
def config_for(tmp_path: Path) -> Callable[..., DictConfig]:
    """The configuration of a recipe whose data and cache are in the test's folder."""

    def make(recipe: str, *overrides: str) -> DictConfig:
        return load_config(
            [
                f"+recipe={recipe}",
                f"paths.data={tmp_path / 'data'}",
                f"paths.cache={tmp_path / 'cache'}",
                *overrides,
            ]
        )

    return make


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, and the paragraph before it."""

    language: str
    text: str
    before: str

    @property
    def commands(self) -> list[str]:
        """Commands for a shell, a line each; none in blocks of another language."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [x for x in lines if not self.language and x.startswith(("asr-hf ", "python "))]


class Tutorial:
    """docs/your-data.md, whose commands are given to a shell word for word.

    What is to be killed runs in a process of its own, which loads torch again; the rest runs in
    this one, with the words that the shell makes of it.
    """

    def __init__(self) -> None:
        self._page = (ROOT / "docs" / "your-data.md").read_text(encoding="utf-8")

    def blocks(self, title: str) -> list[Block]:
        """The blocks of the part of the page under a title."""
        part = re.search(rf"^## {title}$.*?(?=^## |\Z)", self._page, re.MULTILINE | re.DOTALL)
        assert part, title
        fences = re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", part[0], re.MULTILINE | re.DOTALL)
        return [
            Block(
                fence[2],
                textwrap.dedent(fence[3]),
                part[0][: fence.start()].rstrip().rpartition("\n\n")[2],
            )
            for fence in fences
        ]

    def commands(self, title: str) -> dict[str, str]:
        """The commands under a title by their verbs, in order."""
        lines = [line for block in self.blocks(title) for line in block.commands]
        return {line.split()[1]: line for line in lines}

    @staticmethod
    def start(folder: Path, line: str, more: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start a command of the page in a folder, with more at its end."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            ["bash", "-c", f"exec {line} {shlex.join(more)}"],
            cwd=folder,
            env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @staticmethod
    def words(folder: Path, line: str, more: Sequence[str] = ()) -> list[str]:
        """What a shell makes of a command in a folder, with more at its end."""
        script = f"printf '%s\\0' {line} {shlex.join(more)}"
        bash = ["bash", "-c", script]
        done = subprocess.run(bash, cwd=folder, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode().split("\0")[:-1]

    def run(self, folder: Path, line: str, more: Sequence[str] = ()) -> str:
        """Run a command of the page, which has to succeed; all that it said."""
        program, *arguments = self.words(folder, line, more)
        if program == "asr-hf":
            code, said = self._asr_hf(folder, arguments)
        else:
            process = self.start(folder, line, more)
            said, _ = process.communicate()
            code = process.returncode
        if code and "cannot be had" in said and not os.environ.get("CI"):
            pytest.skip(f"no real speech on this machine: {said}")
        assert code == 0, f"{line}\n{said}"
        return said

    @staticmethod
    def _asr_hf(folder: Path, arguments: list[str]) -> tuple[int, str]:
        said = io.StringIO()
        with (
            contextlib.chdir(folder),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            return main(arguments), said.getvalue()


@pytest.fixture(scope="session")
def tutorial() -> Tutorial:
    return Tutorial()


@pytest.fixture(scope="session")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes folders with nothing but a clone's scripts and what was fetched before."""

    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        (ROOT / ".cache").mkdir(exist_ok=True)
        for linked in ("scripts", ".cache"):
            (folder / linked).symlink_to(ROOT / linked)
        return folder

    return make
