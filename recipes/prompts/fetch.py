"""Where the recordings come from."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path

log = logging.getLogger(__name__)

_TARBALL = (
    "https://downloads.asterisk.org/pub/telephony/sounds/releases/"
    "asterisk-core-sounds-{language}-wav-1.6.1.tar.gz"
)


@dataclass(frozen=True)
class Recordings:
    """The prompts of one language.

    Args:
        language: its code.
        folder: the root of its wav files.
        transcripts: the published list, as text.
        origin: where they were found.
    """

    language: str
    folder: Path
    transcripts: str
    origin: str


class Unavailable(Exception):
    """A source that cannot be used, and why."""


def find_recordings(language: str, source: str | None, cache: Path) -> Recordings:
    """Find or fetch the prompts of a language.

    Tried in order: the folder the user names (alone, when one is named), the installed system,
    Debian's packages, the Asterisk project's tarball.

    Raises:
        InputError: none has them; says why each failed.
    """
    ways: list[tuple[str, Callable[[], Recordings]]]
    if source is not None:
        ways = [("corpus.source", lambda: in_folder(language, Path(source)))]
    else:
        ways = [
            ("installed system", lambda: in_folder(language, Path("/usr/share"))),
            ("Debian packages", lambda: from_debian(language, cache)),
            ("Asterisk tarball", lambda: from_tarball(language, cache)),
        ]
    reasons = []
    for name, way in ways:
        try:
            found = way()
        except Unavailable as error:
            reasons.append(f"    {name}: {error}")
            continue
        check_manifest(found)
        return found
    raise InputError(
        f"the {language} prompts cannot be had:\n" + "\n".join(reasons),
        expected=f"asterisk-core-sounds-{language} and asterisk-core-sounds-{language}-wav",
        remedy="install these packages, or unpack them in a folder and set corpus.source=FOLDER",
    )


def in_folder(language: str, root: Path) -> Recordings:
    """Look for sounds and transcripts below a folder, laid out as the packages or tarballs are."""
    if not root.is_dir():
        raise Unavailable(f"{root} is no folder")
    lists = [
        path
        for pattern in (f"core-sounds-{language}.txt.gz", f"core-sounds-{language}.txt")
        for path in sorted(root.glob(f"**/{pattern}"))
    ]
    if not lists:
        raise Unavailable(f"{root} holds no core-sounds-{language}.txt")
    folders = [p for p in sorted(root.glob(f"**/sounds/{language}_*")) if p.is_dir()]
    folders += [p.parent for p in lists if (p.parent / "vm-goodbye.wav").exists()]
    if not folders:
        raise Unavailable(f"{root} holds no {language} recordings (*.wav)")
    raw = lists[0].read_bytes()
    text = gzip.decompress(raw) if lists[0].suffix == ".gz" else raw
    return Recordings(language, folders[0], text.decode("utf-8-sig"), str(root))


def from_debian(language: str, cache: Path) -> Recordings:
    """Download and unpack Debian's packages; needs no root."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Unavailable("no apt-get and dpkg-deb on this machine")
    unpacked = cache / "prompts" / f"debian-{language}"
    if not unpacked.is_dir():
        part = unpacked.with_name(f".{unpacked.name}.{os.getpid()}")
        part.mkdir(parents=True)
        try:
            for package in (
                f"asterisk-core-sounds-{language}",
                f"asterisk-core-sounds-{language}-wav",
            ):
                _apt_download(package, part)
            for archive in part.glob("*.deb"):
                _run(["dpkg-deb", "-x", archive.name, "."], part)
                archive.unlink()
            os.replace(part, unpacked)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return in_folder(language, unpacked)


def _apt_download(package: str, folder: Path) -> None:
    log.info("fetching %s", package)
    try:
        _run(["apt-get", "download", package], folder)
    except Unavailable:
        # A fresh system has no package lists; private ones need no root.
        state = folder.parent.resolve() / "apt"
        (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (state / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        own = ["-o", f"Dir::State::Lists={state}/lists", "-o", f"Dir::Cache={state}/cache"]
        own += ["-o", "Debug::NoLocking=1"]
        _run(["apt-get", *own, "update"], folder)
        _run(["apt-get", *own, "download", package], folder)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def from_tarball(language: str, cache: Path) -> Recordings:
    """Download and unpack the Asterisk project's release."""
    unpacked = cache / "prompts" / f"asterisk-{language}"
    if not unpacked.is_dir():
        url = _TARBALL.format(language=language)
        archive = cache / "prompts" / url.rpartition("/")[2]
        log.info("fetching %s", url)
        try:
            with (
                urllib.request.urlopen(url, timeout=60) as reply,
                atomic_path(archive) as temporary,
                open(temporary, "wb") as file,
            ):
                shutil.copyfileobj(reply, file)
        except (urllib.error.URLError, OSError, InputError) as error:
            raise Unavailable(f"{url}: {error}") from error
        part = unpacked.with_name(f".{unpacked.name}.{os.getpid()}")
        with tarfile.open(archive) as opened:
            opened.extractall(part, filter="data")
        os.replace(part, unpacked)
    return in_folder(language, unpacked)


def manifest_of(folder: Path) -> dict[str, str]:
    """A hash of every recording, by its path in lower case."""
    return {
        str(path.relative_to(folder)).lower(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("**/*.wav"))
    }


def manifest_hash(manifest: dict[str, str]) -> str:
    """One hash of a manifest."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def check_manifest(found: Recordings) -> str:
    """Warn when the recordings are not those the published figures were made with."""
    pinned = json.loads(Path(__file__).with_name("manifest.json").read_text())
    digest = manifest_hash(manifest_of(found.folder))
    if digest != pinned.get(found.language):
        log.warning(
            "%s: the %s recordings differ from release 1.6.1 (hash %s, expected %s); "
            "figures will differ from the published ones",
            found.folder,
            found.language,
            digest[:12],
            pinned.get(found.language, "none")[:12],
        )
    return digest
