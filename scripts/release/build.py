"""Builds wheel and source distribution of a commit, to the same bytes each time."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from asr_hf.runtime.files import atomic_path


def build(repository: Path, commit: str, folder: Path) -> tuple[Path, Path]:
    """Build a commit's wheel from its source distribution.

    The bytes follow from the commit and from the versions of the tools, not from the place, the
    hour or the user. Times in the files are that of the commit (SOURCE_DATE_EPOCH).

    Args:
        repository: a clone with the commit.
        commit: the commit.
        folder: where the two files go; made, and must not hold any.

    Returns:
        The wheel and the source distribution.
    """
    seconds = int(git(repository, "log", "-1", "--format=%ct", commit))
    with tempfile.TemporaryDirectory() as empty:
        source = Path(empty) / "source"
        git(repository, "clone", "--quiet", "--no-checkout", str(repository), str(source))
        git(source, "checkout", "--quiet", "--detach", commit)
        command = [sys.executable, "-m", "build", "--no-isolation", "-o", str(folder), str(source)]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(seconds), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            command, env=environment, cwd=empty, umask=0o022, capture_output=True, text=True
        )
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\nthe build of {commit} failed")
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    normalise(sdist, seconds)
    return wheel, sdist


def git(repository: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    command = ["git", "-C", str(repository), *arguments]
    umask = 0o022
    return subprocess.run(command, check=True, capture_output=True, text=True, umask=umask).stdout


def normalise(sdist: Path, seconds: int) -> None:
    """Take from a source distribution what differs between two builds of it.

    setuptools writes wheels by SOURCE_DATE_EPOCH, but source distributions with the times of
    copying, and with the user and the mask of modes of who builds them.

    Args:
        sdist: a tar.gz file; replaced.
        seconds: the time that all its members get (seconds since 1970).
    """
    with (
        tarfile.open(sdist) as given,
        atomic_path(sdist) as temporary,
        open(temporary, "wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=seconds) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as made,
    ):
        for member in sorted(given.getmembers(), key=lambda m: m.name):
            executable = member.isdir() or member.mode & 0o100
            member.mode = 0o755 if executable else 0o644
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = seconds
            member.pax_headers = {}
            made.addfile(member, given.extractfile(member) if member.isfile() else None)
