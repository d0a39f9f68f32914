"""Run a command and print the peak of its process's anonymous memory (without file pages).

usage: python scripts/peak_memory.py [--seconds N] COMMAND ...
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

_INTERVAL = 0.01


def peak_of(process: subprocess.Popen[bytes], seconds: float | None) -> int:
    """Watch a process, end it after `seconds`, and return the peak of its memory (bytes)."""
    status, peak, start = Path(f"/proc/{process.pid}/status"), 0, time.monotonic()
    while process.poll() is None:
        try:
            match = re.search(r"RssAnon:\s+(\d+) kB", status.read_text(encoding="ascii"))
        except OSError:
            break
        peak = max(peak, int(match[1]) * 1024 if match else 0)
        if seconds is not None and time.monotonic() - start > seconds:
            process.terminate()
            break
        time.sleep(_INTERVAL)
    process.wait()
    return peak


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, help="end the command after this long")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.command:
        parser.error("no command")
    process = subprocess.Popen(options.command)
    print(f"peak anonymous memory {peak_of(process, options.seconds) / 1e9:.2f} GB")
    return 0 if process.returncode == 0 or options.seconds else 1


if __name__ == "__main__":
    sys.exit(main())
