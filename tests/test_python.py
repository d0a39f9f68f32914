"""The package as programs in Python see it: what it offers, and the examples of docs/python.md."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import asr_hf

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "python.md"


def test_the_package_offers_what_it_says_and_nothing_else():
    assert set(asr_hf.__all__) <= set(dir(asr_hf))
    for name in asr_hf.__all__:
        assert getattr(asr_hf, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Hessian'"):
        _ = asr_hf.Hessian


@pytest.mark.parametrize("late", ["torch", "numpy", "hydra", "kaldifst"])
def test_the_package_alone_waits_for_nothing(late):
    script = f"import asr_hf, sys; dir(asr_hf); sys.exit({late!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_the_examples_of_the_page_run(tmp_path):
    """As one program, in a folder without the checkout."""
    command = [sys.executable, str(ROOT / "scripts" / "run_page.py"), str(PAGE)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    blocks = re.findall(r"^```python$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(blocks) > 3 and f"{len(blocks)} examples" in done.stdout
