"""Compares what wheel and source distribution hold with the files of the commit."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

from scripts.release.build import git

# Where the wheel has the folders of the checkout.
_PLACES = {"asr_hf": "asr_hf", "conf": "asr_hf/conf", "recipes": "asr_hf/recipes"}
# What a source distribution has beside them: what it is built from, and what it says about itself.
_BESIDE = re.compile(
    r"(pyproject\.toml|setup\.(py|cfg)|MANIFEST\.in|PKG-INFO|asr_hf\.egg-info/[^/]+|"
    r"README\.md|LICENSE|CHANGELOG\.md|CITATION\.cff)"
)
_ABOUT = re.compile(r"asr_hf-[^/]+\.dist-info/.+")


def faults(repository: Path, commit: str, wheel: Path, sdist: Path) -> list[str]:
    """Return in what a wheel and a source distribution are not as they should be.

    Both have to hold exactly the files that git has below asr_hf, conf and recipes, with their
    bytes, and nothing else but their own descriptions. A tag of the commit has to be the version.

    Args:
        repository: a clone with the commit.
        commit: what they were built from.
        wheel: the wheel.
        sdist: the source distribution.

    Returns:
        The faults, a line each.
    """
    archive = ["git", "-C", str(repository), "archive", "--format=tar", commit, "--", *_PLACES]
    done = subprocess.run(archive, check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as opened:
        wanted = _members(opened)
    with tarfile.open(sdist) as opened:
        in_sdist = {name.partition("/")[2]: data for name, data in _members(opened).items()}
    with zipfile.ZipFile(wheel) as opened_wheel:
        in_wheel = {name: opened_wheel.read(name) for name in opened_wheel.namelist()}
    return [
        *_differences(sdist.name, wanted, in_sdist, _BESIDE),
        *_differences(wheel.name, {_moved(k): v for k, v in wanted.items()}, in_wheel, _ABOUT),
        *_version_faults(repository, commit, wheel),
    ]


def _members(opened: tarfile.TarFile) -> dict[str, bytes]:
    files = ((member, opened.extractfile(member)) for member in opened.getmembers())
    return {member.name: file.read() for member, file in files if file is not None}


def _moved(name: str) -> str:
    room, _, rest = name.partition("/")
    return f"{_PLACES[room]}/{rest}"


def _differences(
    where: str, wanted: dict[str, bytes], found: dict[str, bytes], beside: re.Pattern[str]
) -> list[str]:
    """Return what is missing in a file of files, what is too many, and what is another."""
    more = [name for name in sorted(found.keys() - wanted) if not beside.fullmatch(name)]
    return [
        *(f"{where}: {name} is missing" for name in sorted(wanted.keys() - found)),
        *(f"{where}: {name} does not belong there" for name in more),
        *(
            f"{where}: {name} is not as in the commit"
            for name in sorted(wanted.keys() & found)
            if wanted[name] != found[name]
        ),
    ]


def _version_faults(repository: Path, commit: str, wheel: Path) -> list[str]:
    tags = git(repository, "tag", "--points-at", commit, "--list", "v*").split()
    version = wheel.name.split("-")[1]
    return [f"{wheel.name}: git's tag is {tag}" for tag in tags if tag != f"v{version}"]
