"""An aligned corpus, a run of it, and copies of both that a stranger has changed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from asr_hf.cli.main import main
from asr_hf.training.model_header import with_checksum

from ..once import once

OWN = Path(__file__).resolve().parents[1] / "own_classes"
SECRET = "hunter2-of-the-user"
TONES = [
    *("--config-dir", str(OWN / "conf")),
    "+recipe=tones",
    "features.jobs=1",
    "alignment.jobs=1",
    "alignment.iterations=4",
    "alignment.gaussians=40",
    "runtime.device=cpu",
    "runtime.checkpoint_seconds=0",
    "corpus.utterances={train:20,dev:6,test:4}",
    "model.hidden_sizes=[8]",
    "trainer.stopping.max_iterations=2",
    "decode.acoustic_scales=[0.3]",
    "decode.insertion_penalties=[0.0]",
    # Words of tones are told apart well within these.
    *("decode.beam=10.0", "decode.lattice_beam=6.0"),
    "lattices.acoustic_scale=0.3",
    "lattices.sets=[dev]",
    "export.sets=[dev]",
]


@dataclass
class Outcome:
    """What a command left: exit code, and all that it said."""

    code: int
    said: str


@dataclass
class Place:
    """A corpus and a run that a stranger may change, and what shows that code was run."""

    root: Path
    marker: Path

    @property
    def run(self) -> Path:
        return self.root / "exp" / "first"

    @property
    def corpus(self) -> Path:
        return self.root / "data" / "tones"

    @property
    def touch(self) -> str:
        """A command that leaves the marker."""
        return f"touch {self.marker}"

    def paths(self) -> list[str]:
        return [f"paths.data={self.root}/data", f"paths.exp={self.root}/exp"]


def make(root: Path) -> None:
    sys.path.insert(0, str(OWN))
    try:
        for verb in ("prepare", "features", "align", "train", "decode", "score", "lattices"):
            given = [*TONES, *Place(root, root).paths(), "name=first"]
            if verb == "lattices":
                given.append(f"lattices.from_run={root}/exp/first")
            assert main([verb, *given]) == 0, verb
    finally:
        sys.path.remove(str(OWN))


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    return once(tmp_path_factory, "security", make)


@pytest.fixture
def place(made, tmp_path, monkeypatch) -> Place:
    """A copy, in which a package called evil can be imported and leaves the marker if it is."""
    root, marker = tmp_path / "root", tmp_path / "marker"
    shutil.copytree(made, root)
    for path in root.rglob("*.scp"):
        path.write_text(path.read_text().replace(str(made), str(root)))
    evil = tmp_path / "importable" / "evil"
    evil.mkdir(parents=True)
    (evil / "__init__.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(str(evil.parent))
    monkeypatch.setenv("SECRET", SECRET)
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "hubconf.py").write_text(
        f"open({str(marker)!r}, 'w').close()\n\n\ndef entry(**more):\n    return None\n"
    )
    yield Place(root, marker)
    sys.modules.pop("evil", None)


@pytest.fixture
def call(place, capfd) -> Callable[..., Outcome]:
    """A verb of asr-hf on the changed corpus and run; the marker must not be there afterwards."""

    def run(verb: str, *arguments: str) -> Outcome:
        capfd.readouterr()
        known = verb not in ("validate", "info")
        given = [*TONES, *place.paths(), *arguments] if known else list(arguments)
        code = main([*verb.split(), *given])
        said = "".join(capfd.readouterr())
        assert not place.marker.exists(), said
        assert SECRET not in said
        return Outcome(code, said)

    return run


def write_model(path: Path, header: dict[str, Any]) -> None:
    """Give the model in `path` another header, with the checksum that belongs to it."""
    tensors = load_file(path)
    path.unlink()
    save_file(tensors, path, {"asr-hf": json.dumps(with_checksum(header, tensors))})


def read_header(path: Path) -> dict[str, Any]:
    """The header of a model file, without its checksum."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(json.loads(file.read(size))["__metadata__"]["asr-hf"])
    del header["checksum"]
    return dict(header)


def point_at(index: Path, entry: str) -> None:
    """Give every key of a table, such as wav.scp, this entry."""
    keys = [line.split()[0] for line in index.read_text().splitlines()]
    index.write_text("".join(f"{key} {entry}\n" for key in keys))


class Pickled:
    """An object whose pickle leaves the marker when it is read."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self._marker}",)
