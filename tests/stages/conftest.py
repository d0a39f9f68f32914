"""A spoken corpus with a run and lattices on it, and the command as a function."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from asr_hf.cli.main import main

from ..once import once

OWN = Path(__file__).resolve().parents[1] / "own_classes"
TONES = [
    *("--config-dir", str(OWN / "conf")),
    "+recipe=tones",
    "corpus.utterances={train:24,dev:8,test:6}",
    "alignment.iterations=6",
    "alignment.gaussians=40",
    "model.hidden_sizes=[8]",
    "trainer.stopping.max_iterations=2",
    "runtime.device=cpu",
    "runtime.checkpoint_seconds=0",
    "decode.acoustic_scales=[0.3]",
    "decode.insertion_penalties=[0.0]",
    # Words of tones are told apart well within these.
    *("decode.beam=10.0", "decode.lattice_beam=6.0"),
    "lattices.acoustic_scale=0.3",
]


@dataclass
class Outcome:
    """What a command left: exit code, and all that it said."""

    code: int
    said: str


@dataclass
class Place:
    """A copy of the corpus and the run.

    Args:
        root: its folder.
        capture: pytest's capfd.
    """

    root: Path
    capture: pytest.CaptureFixture[str]

    @property
    def run(self) -> Path:
        return self.root / "exp" / "first"

    @property
    def corpus(self) -> Path:
        return self.root / "data" / "tones"

    def __call__(self, verb: str, *given: str) -> Outcome:
        """Run a verb with the overrides of the corpus and those given."""
        self.capture.readouterr()
        code = main([verb, *TONES, *paths(self.root), *given])
        return Outcome(code, "".join(self.capture.readouterr()))

    def well(self, verb: str, *given: str) -> str:
        """The same; it must succeed."""
        outcome = self(verb, *given)
        assert outcome.code == 0, outcome.said
        return outcome.said

    def refused(self, verb: str, *given: str) -> str:
        """The same; it must be refused as bad input."""
        outcome = self(verb, *given)
        assert outcome.code == 2, outcome.said
        return outcome.said


def paths(root: Path) -> list[str]:
    return [f"paths.data={root}/data", f"paths.exp={root}/exp"]


def make(root: Path) -> None:
    lattices = ["lattices", f"lattices.from_run={root}/exp/first"]
    for verb, *given in (["prepare"], ["features"], ["align"], ["train"], lattices):
        assert main([verb, *TONES, *paths(root), "name=first", *given]) == 0, verb


@pytest.fixture(scope="session")
def made(importable, tmp_path_factory) -> Path:
    return once(tmp_path_factory, "stages", make)


@pytest.fixture(scope="session", autouse=True)
def importable():
    """The recipe's package."""
    sys.path.insert(0, str(OWN))
    yield
    sys.path.remove(str(OWN))


@pytest.fixture
def place(made, tmp_path, capfd) -> Callable[..., Outcome]:
    root = tmp_path / "root"
    # With their times: audio counts by them.
    shutil.copytree(made, root)
    for path in (*root.rglob("*.scp"), *root.rglob("config.yaml")):
        path.write_text(path.read_text().replace(str(made), str(root)))
    return Place(root, capfd)
