"""Build the files of a release and check them: `make release`, or python -m scripts.release.

The last commit is built twice, and both builds must have the same bytes. Wheel and source
distribution must hold git's files. Then scripts/check_wheel.py installs the wheel in an empty
environment outside the checkout, and takes recordings there to a word error rate. --build-only
leaves that out.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from asr_hf.runtime.files import write_text
from scripts.check_wheel import check
from scripts.release.build import build, git
from scripts.release.contents import faults

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Build, compare, check."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "dist")
    parser.add_argument("--build-only", action="store_true", help="do not install the wheel")
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    if changed := git(ROOT, "status", "--porcelain", "--untracked-files=no"):
        print(f"commit these first, a release is built from a commit:\n{changed}", file=sys.stderr)
        return 2
    commit = git(ROOT, "rev-parse", "HEAD").strip()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = build(ROOT, commit, folder)
    with tempfile.TemporaryDirectory() as again:
        problems = differing(files, build(ROOT, commit, Path(again)))
    problems += faults(ROOT, commit, *files)
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=True)
    if not options.build_only:
        check(sys.executable, files[0])
    sums = "".join(f"{digest(path)}  {path.name}\n" for path in sorted(files))
    write_text(folder / "SHA256SUMS", sums)
    print(f"{folder}:\n{sums}", end="")
    return 0


def differing(one: tuple[Path, Path], other: tuple[Path, Path]) -> list[str]:
    """Return which files of two builds have other names or bytes, a line each."""
    pairs = zip(one, other, strict=True)
    return [
        f"{a.name}: another build gives other bytes"
        for a, b in pairs
        if a.name != b.name or a.read_bytes() != b.read_bytes()
    ]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
