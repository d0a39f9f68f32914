"""Run the commands of a page in Markdown, word for word, in the working folder.

usage: python scripts/run_commands.py docs/your-data.md ["1. A table" ...]

Those under the headings that are named, or else all, run in order, each in a shell that finds the
programs of this interpreter's environment first. It prints how long each took.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    """Run them; the first that fails ends it."""
    page = Path(sys.argv[1]).read_text(encoding="utf-8")
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    parts = [under(page, title) for title in sys.argv[2:]] or [page]
    for line in (line for part in parts for line in commands(part)):
        print(f"$ {line}", flush=True)
        begun = time.monotonic()
        subprocess.run(["bash", "-c", line], check=True, env=environment)
        print(f"({time.monotonic() - begun:.0f} s)", flush=True)
    return 0


def under(page: str, title: str) -> str:
    """Return the part of a page under a heading of the second level."""
    part = re.search(rf"^## {re.escape(title)}$.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    if part is None:
        sys.exit(f"the page has no heading {title!r}")
    return part[0]


def commands(text: str) -> list[str]:
    """Return the commands of asr-hf in the blocks of a text, as one types them.

    Args:
        text: Markdown; blocks of commands name no language, or sh.

    Returns:
        The lines that begin with asr-hf. Those that end with a backslash go on in the next.
    """
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in re.sub(r" *\\\n *", " ", block).splitlines()]
    return [line for line in lines if line.startswith("asr-hf ")]


if __name__ == "__main__":
    sys.exit(main())
