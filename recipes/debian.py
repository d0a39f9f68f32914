"""Recordings that Debian's packages hold: found, fetched and unpacked, without being root."""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from asr_hf.runtime.children import run_text_command
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import replaced_folder

log = logging.getLogger("asr_hf.recipes")

_SECONDS = 600
T = TypeVar("T")


class Unavailable(Exception):
    """A source of recordings cannot be used; says why."""


def first_available(
    what: str, sources: Sequence[tuple[str, Callable[[], T]]], expected: str, remedy: str
) -> T:
    """Take recordings from the first source that has them.

    Args:
        what: the recordings, for messages.
        sources: name of each source, and a function that takes them from there.
        expected: packages or files that would do, for the message.
        remedy: what the user can do when no source has them.

    Returns:
        What the source gave.

    Raises:
        InputError: no source has them (says why each failed).
    """
    reasons = []
    for name, take in sources:
        try:
            return take()
        except (Unavailable, OSError) as error:
            reasons.append(f"    {name}: {error}")
    raise InputError(
        f"{what} cannot be had:\n" + "\n".join(reasons), expected=expected, remedy=remedy
    )


def fetched(packages: Sequence[str], folder: Path) -> Path:
    """Download and unpack packages into `folder`, unless it is there.

    Returns:
        The folder.

    Raises:
        Unavailable: there is no apt-get, or a package cannot be fetched.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Unavailable("no apt-get and dpkg-deb on this machine")
    if not folder.is_dir():
        with replaced_folder(folder) as part:
            for package in packages:
                _download(package, part)
            for archive in sorted(part.glob("*.deb")):
                _run(["dpkg-deb", "-x", archive.name, "."], part)
                archive.unlink()
    return folder


def given(source: Path, cache: Path) -> Path:
    """Return the folder that `corpus.source` stands for; package files are unpacked first.

    Args:
        source: a folder with the files or with package files (.deb), or one package file.
        cache: where package files are unpacked.

    Raises:
        Unavailable: there is no such file or folder, or a package file cannot be unpacked.
    """
    archives = sorted(source.glob("*.deb")) if source.is_dir() else [source]
    if not source.exists() or (not source.is_dir() and source.suffix != ".deb"):
        raise Unavailable(f"{source} is neither a folder nor a package file (.deb)")
    if not archives:
        return source
    if shutil.which("dpkg-deb") is None:
        raise Unavailable("no dpkg-deb on this machine, which package files need")
    digests = [hashlib.sha256(archive.read_bytes()).hexdigest() for archive in archives]
    folder = cache / f"given-{hashlib.sha256(''.join(digests).encode()).hexdigest()[:16]}"
    if not folder.is_dir():
        with replaced_folder(folder) as part:
            for archive in archives:
                _run(["dpkg-deb", "-x", str(archive.absolute()), "."], part)
    return folder


def _download(package: str, folder: Path) -> None:
    log.info("fetching %s", package)
    try:
        _run(["apt-get", "download", package], folder)
    except Unavailable:
        # A fresh system has no package lists; private ones need no root.
        state = folder.parent.resolve() / "apt"
        (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (state / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        options = ["-o", f"Dir::State::Lists={state}/lists", "-o", f"Dir::Cache={state}/cache"]
        options += ["-o", "Debug::NoLocking=1"]
        _run(["apt-get", *options, "update"], folder)
        _run(["apt-get", *options, "download", package], folder)


def _run(command: list[str], folder: Path) -> None:
    try:
        done = run_text_command(command, folder=folder, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{' '.join(command)}: no end after {_SECONDS} s") from error
    if done.returncode:
        raise Unavailable(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
