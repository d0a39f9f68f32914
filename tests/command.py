"""A corpus that is ready for training, and the command as a function."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from asr_hf.cli.main import main

from .toy_store import write_clusters


@dataclass
class Outcome:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def asr_hf(tmp_path, monkeypatch, capsys) -> Callable[..., Outcome]:
    """`asr-hf` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(list(arguments))
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture
def command(tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`asr-hf` in a process of its own, in an empty folder."""

    def call(*arguments: str, **more) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "asr_hf", *arguments]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, **more)

    return call


PDFS, DIM = 6, 4
# A network and samples so small that an iteration takes milliseconds.
TINY = [
    "+recipe=prompts",
    "model.hidden_sizes=[8]",
    "sampling=fixed",
    "sampling.curvature=0.5",
    "runtime.checkpoint_seconds=0",
    "runtime.device=cpu",
]


@pytest.fixture
def corpus(tmp_path) -> list[str]:
    """A corpus whose frames cluster by pdf, aligned; and overrides for training on it quickly."""
    for number, name in enumerate(("train", "dev")):
        write_store(tmp_path / "data" / "prompts" / "store" / name, seed=number)
    return [*TINY, f"paths.data={tmp_path / 'data'}"]


def write_store(folder: Path, seed: int, utterances: int = 20) -> None:
    """Write a store of random utterances."""
    random = np.random.default_rng(seed)
    write_clusters(folder, random, random.integers(5, 30, utterances), PDFS, DIM)
