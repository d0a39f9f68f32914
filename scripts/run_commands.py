"""Run the commands of a page in Markdown, word for word, in the working folder.

usage: python scripts/run_commands.py docs/your-data.md "1. A table" ...

Those under the headings that are named run in order, each in a shell that finds the programs of
this interpreter's environment first. It prints how long each took.
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
    for title in sys.argv[2:]:
        for line in commands(page, title):
            print(f"$ {line}", flush=True)
            begun = time.monotonic()
            subprocess.run(["bash", "-c", line], check=True, env=environment)
            print(f"({time.monotonic() - begun:.0f} s)", flush=True)
    return 0


def commands(page: str, title: str) -> list[str]:
    """Return the commands in the blocks under a heading, as one types them.

    Args:
        page: text of the page.
        title: the heading, of the second level.

    Returns:
        The lines that begin with asr-hf; those that end with a backslash are joined.
    """
    part = re.search(rf"^## {re.escape(title)}$.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    if part is None:
        sys.exit(f"the page has no heading {title!r}")
    blocks = re.findall(r"^```\n(.*?)^```$", part[0], re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in re.sub(r" *\\\n *", " ", block).splitlines()]
    return [line for line in lines if line.startswith("asr-hf ")]


if __name__ == "__main__":
    sys.exit(main())
