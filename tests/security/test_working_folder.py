"""A command that is given in a stranger's folder imports nothing from there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import OWN, TONES

# What processes that asr-hf starts import early.
TRAPS = ("kaldilm", "asr_hf", "multiprocessing", "numpy", "torch", "json", "encodings")


@pytest.fixture
def folder(tmp_path, place) -> Path:
    found = tmp_path / "stranger"
    for name in TRAPS:
        (found / name).mkdir(parents=True)
        (found / name / "__init__.py").write_text(f"open({str(place.marker)!r}, 'w').close()\n")
    return found


VERBS = {
    "align": ["alignment.jobs=2", "alignment.iterations=3", "alignment.tag=again"],
    "train": ["name=two", "runtime.processes=2", "trainer.stopping.max_iterations=1"],
    "decode": ["name=first", "decode.jobs=2"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_imported_from_the_working_folder(place, folder, verb):
    if verb == "align":
        for old in (place.corpus / "align").glob("*/G.fst"):
            old.unlink()
        (place.corpus / "align" / "artefact.json").unlink()
    program = str(Path(sys.executable).with_name("asr-hf"))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    environment["PYTHONPATH"] = str(OWN)
    done = subprocess.run(
        [program, verb, *TONES, *place.paths(), *VERBS[verb]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not place.marker.exists()
