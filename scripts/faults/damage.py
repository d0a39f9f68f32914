"""Damages files (cut short, a bit flipped, removed) and mends them again."""

from __future__ import annotations

import os
import random
from pathlib import Path


def truncate(path: Path, draw: random.Random) -> str:
    """Shorten a file in place, and return a description."""
    size = path.stat().st_size
    kept = draw.randrange(size)
    os.truncate(path, kept)
    return f"{path.name} cut to {kept} of {size} bytes"


def flip(path: Path, draw: random.Random) -> str:
    """Flip one bit of a file in place, and return a description."""
    at, bit = draw.randrange(path.stat().st_size), draw.randrange(8)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))
    return f"bit {bit} of byte {at} of {path.name} flipped"


def remove(path: Path, _: random.Random) -> str:
    """Remove a file, and return a description."""
    path.unlink()
    return f"{path.name} removed"


class Keepsake:
    """A backup of files, to be put back.

    Args:
        folder: folder of the files.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    def pick(self, draw: random.Random) -> Path:
        """Pick a file that is not empty, all with the same probability."""
        return draw.choice([path for path, content in self._files.items() if content])

    def is_back(self) -> bool:
        """Return whether all files are as they were."""
        return all(
            path.is_file() and path.read_bytes() == content for path, content in self._files.items()
        )

    def put_back(self) -> None:
        """Write the files as they were."""
        for path, content in self._files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
