"""Print what CHANGELOG.md says of a release: python -m scripts.release.notes 1.2.3."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def notes(changelog: str, version: str) -> str:
    """Return the part of the changelog under a release's heading.

    Args:
        changelog: the text of CHANGELOG.md.
        version: the release.

    Returns:
        The part, without the heading.
    """
    heading = rf"^## \[{re.escape(version)}\] - [^\n]*$"
    part = re.search(rf"{heading}\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if part is None:
        sys.exit(f"CHANGELOG.md has no release {version}")
    return part[1].strip() + "\n"


if __name__ == "__main__":
    print(notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), sys.argv[1]), end="")
