"""A reader of what Kaldi's programs print, with nothing of the project's own in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).parent / "fixtures"


def matrices(path: Path) -> dict[str, np.ndarray]:
    """The matrices of an archive in text form."""
    found = {}
    for entry in path.read_text(encoding="utf-8").split("]\n")[:-1]:
        key, numbers = entry.split("  [", 1)
        rows = [[float(x) for x in row.split()] for row in numbers.split("\n") if row.strip()]
        found[key.strip()] = np.array(rows)
    return found


def integers(path: Path) -> dict[str, list[int]]:
    """The integer vectors of an archive in text form."""
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return {key: [int(one) for one in rest] for key, *rest in lines}
