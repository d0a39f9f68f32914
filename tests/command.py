"""A corpus that is ready for training, and the command as a function."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from asr_hf.cli.main import main
from asr_hf.data.store import FORMAT


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
    lengths = random.integers(5, 30, utterances)
    labels = random.integers(0, PDFS, lengths.sum()).astype(np.int32)
    centres = np.random.default_rng(9).normal(size=(PDFS, DIM))
    frames = (centres[labels] + 0.7 * random.normal(size=(len(labels), DIM))).astype(np.float32)
    folder.mkdir(parents=True)
    frames.tofile(folder / "frames.bin")
    labels.tofile(folder / "labels.bin")
    np.save(folder / "offsets.npy", np.concatenate([[0], lengths.cumsum()]).astype(np.int64))
    for file in ("utterances.txt", "speakers.txt"):
        (folder / file).write_text("".join(f"u{i}\n" for i in range(utterances)))
    about = {
        "format": FORMAT,
        "dim": DIM,
        "dtype": "float32",
        "labelled": True,
        "num_pdfs": PDFS,
        "frames": len(labels),
        "utterances": utterances,
    }
    (folder / "store.json").write_text(json.dumps(about))
