"""A corpus of asr-hf's own: its recipe makes valid data, and the Makefile knows it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from asr_hf.cli.main import main


def test_it_is_prepared_and_valid(tmp_path):
    given = ["+recipe=tones", f"paths.data={tmp_path}", "corpus.utterances={train:8,dev:2,test:2}"]
    assert main(["prepare", *given]) == 0
    sets = [str(tmp_path / "tones" / name) for name in ("train", "dev", "test")]
    assert main(["validate", *sets]) == 0


def test_make_knows_it_and_a_page_describes_it():
    root = Path(__file__).parents[2]
    line = ["make", "-n", "data-tones"]
    done = subprocess.run(line, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0 and "align +recipe=tones" in done.stdout, done.stderr
    assert (root / "recipes/tones/README.md").is_file()
