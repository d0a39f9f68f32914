"""Run the commands of a page in Markdown, word for word, in the working folder.

usage: python scripts/run_commands.py docs/tutorials/own-recordings.md

They run in order, each in a shell that finds the programs of this interpreter's environment first.
It prints how long each took.
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
    for line in commands(page):
        print(f"$ {line}", flush=True)
        begun = time.monotonic()
        subprocess.run(["bash", "-c", line], check=True, env=environment)
        print(f"({time.monotonic() - begun:.0f} s)", flush=True)
    return 0


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
