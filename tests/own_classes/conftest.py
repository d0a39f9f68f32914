"""The example package of docs/your-classes.md on a corpus that its own recipe makes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from asr_hf.cli.main import main

HERE = Path(__file__).parent
CONF = HERE / "conf"
SMALL = [
    *("--config-dir", str(CONF)),
    "+recipe=tones",
    "features.jobs=1",
    "alignment.jobs=1",
    "alignment.iterations=10",
    "alignment.gaussians=60",
    "runtime.threads=1",
    "runtime.device=cpu",
    "runtime.checkpoint_seconds=0",
    "trainer.stopping.max_iterations=15",
    "decode.acoustic_scales=[0.1,0.3]",
    "decode.insertion_penalties=[0.0]",
    # Words of tones are told apart well within these.
    *("decode.beam=10.0", "decode.lattice_beam=6.0"),
    "lattices.acoustic_scale=0.3",
]
MINE = ["model=residual", "preconditioner=running", "criterion=smoothed", "priors=posteriors"]


@dataclass
class Outcome:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def importable():
    """The package as an installed one, for this process and those it starts."""
    before = os.environ.get("PYTHONPATH")
    sys.path.insert(0, str(HERE))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), before]))
    yield
    sys.path.remove(str(HERE))
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("own")


def paths(root: Path) -> list[str]:
    return [f"paths.data={root}/data", f"paths.exp={root}/exp"]


@pytest.fixture
def asr_hf(root, capsys) -> Callable[..., Outcome]:
    """A verb on the corpus, in this process."""

    def call(verb: str, *arguments: str) -> Outcome:
        capsys.readouterr()
        before, given = verb.split(), [*SMALL, *paths(root), *arguments]
        return Outcome(main([*before, *given]), *capsys.readouterr())

    return call


def command(root: Path, *arguments: str, **more) -> subprocess.Popen[str]:
    """A verb in a process of its own, as from a shell."""
    verb, *rest = arguments
    line = [sys.executable, "-m", "asr_hf", verb, *SMALL, *paths(root), *rest]
    return subprocess.Popen(line, text=True, stderr=subprocess.PIPE, **more)


@pytest.fixture(scope="session")
def trained(root) -> Path:
    """The run folder of the user's own model, trained on the user's own corpus."""
    for verb in ("prepare", "features", "align"):
        assert main([verb, *SMALL, *paths(root)]) == 0
    assert main(["train", *SMALL, *paths(root), *MINE, "name=first"]) == 0
    return root / "exp" / "first"
