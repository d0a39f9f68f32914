"""The libraries load in whatever order, or say why they do not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import asr_hf

ROOT = Path(asr_hf.__file__).parent


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT.parent,
        check=False,
    )


@pytest.mark.parametrize(
    "first",
    [
        "kaldifst, kaldi_hmm_gmm, kaldi_decoder, kaldilm",
        "kaldi_decoder, kaldi_hmm_gmm, kaldifst, kaldilm",
    ],
)
def test_either_order_then_a_model(first):
    code = (
        f"import {first}\n"
        "from asr_hf.hmm.graph.lexicon import Lexicon\n"
        "from asr_hf.hmm.system import HmmSystem\n"
        "s = HmmSystem.create([Lexicon('en', {'a': (('en_a',),)})])\n"
        "print(s.transitions.num_pdfs)"
    )
    answer = run(code)
    assert (answer.returncode, answer.stdout) == (0, "8\n"), answer.stderr


def test_kaldilm_first_is_an_error_and_not_a_hang():
    answer = run("import kaldilm; import asr_hf.hmm.search.search")
    assert answer.returncode == 1
    assert "kaldilm was imported before" in answer.stderr


def test_only_one_module_imports_the_libraries():
    found = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if re.search(
            r"^\s*(import|from) (kaldifst|kaldi_hmm_gmm|kaldi_decoder|kaldilm)\b",
            path.read_text(),
            re.MULTILINE,
        )
    }
    assert found == {"hmm/kaldi.py"}
