"""Finds the recordings of the prompts, or fetches them."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tarfile
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from pathlib import Path

from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.files import atomic_path, replaced_folder
from asr_hf.runtime.unzip import LimitedGzipFile

from ..debian import Unavailable, fetched, first_available

log = logging.getLogger("asr_hf.recipes.prompts")

_TARBALL = (
    "https://downloads.asterisk.org/pub/telephony/sounds/releases/"
    "asterisk-core-sounds-{language}-wav-1.6.1.tar.gz"
)
# Who reads each language: the same names wherever the recordings come from.
_SPEAKERS = {
    "en": "en_us_f_allison",
    "es": "es_mx_f_allison",
    "fr": "fr_ca_f_june",
    "it": "it_it_m_carlo",
    "ru": "ru_ru_f_ivrvoiceru",
}


@dataclass(frozen=True)
class Recordings:
    """The prompts of one language.

    Args:
        language: code of the language.
        folder: root of the wav files.
        transcripts: text of the published list.
        origin: where the files were found.
    """

    language: str
    folder: Path
    transcripts: str
    origin: str

    @cached_property
    def digest(self) -> str:
        """A hash of all recordings."""
        return recordings_hash(self.folder)

    @property
    def speaker(self) -> str:
        """The name of their one reader."""
        return _SPEAKERS[self.language]


def find_recordings(language: str, source: Path | str | None, cache: Path) -> Recordings:
    """Find or fetch the prompts of a language.

    Tried in order: the folder the user names (alone, when one is named), the installed system,
    Debian's packages, the Asterisk project's tarball.

    Returns:
        The recordings of the first source that has them.

    Raises:
        InputError: no source has them (says why each failed), or the recipe does not know the
            language.
    """
    if language not in _SPEAKERS:
        raise InputError(
            f"corpus.languages: the prompts have no {language!r}",
            expected=f"some of {', '.join(_SPEAKERS)}",
        )
    sources: list[tuple[str, Callable[[], Recordings]]]
    if source is not None:
        sources = [("corpus.source", lambda: in_folder(language, Path(source)))]
    else:
        sources = [
            ("installed system", lambda: installed(language)),
            ("Debian packages", lambda: from_debian(language, cache)),
            ("Asterisk tarball", lambda: from_tarball(language, cache)),
        ]
    recordings = first_available(
        f"the {language} prompts",
        sources,
        expected=f"asterisk-core-sounds-{language} and asterisk-core-sounds-{language}-wav",
        remedy="install these packages, or unpack them in a folder and set corpus.source=FOLDER",
    )
    _check_recordings(recordings)
    return recordings


def installed(language: str, share: Path = Path("/usr/share")) -> Recordings:
    """Look where Debian's packages install them."""
    return _recordings(
        language,
        sorted((share / "doc" / f"asterisk-core-sounds-{language}").glob(f"*-{language}.txt*")),
        sorted((share / "asterisk" / "sounds").glob(f"{language}_*")),
        share,
    )


def in_folder(language: str, root: Path) -> Recordings:
    """Look for sounds and transcripts below a folder, laid out as the packages or tarballs are."""
    if not root.is_dir():
        raise Unavailable(f"{root} is no folder")
    lists = sorted(root.glob(f"**/core-sounds-{language}.txt*"))
    folders = [*sorted(root.glob(f"**/sounds/{language}_*")), *(path.parent for path in lists)]
    return _recordings(language, lists, folders, root)


def _recordings(language: str, lists: list[Path], folders: list[Path], root: Path) -> Recordings:
    """Take the first readable list and the first folder with recordings."""
    if not lists:
        raise Unavailable(f"{root} holds no core-sounds-{language}.txt")
    folder = next((f for f in folders if next(f.glob("**/*.wav"), None)), None)
    if folder is None:
        raise Unavailable(f"{root} holds no {language} recordings (*.wav)")
    try:
        with open(lists[0], "rb") as file:
            raw = LimitedGzipFile(file).read() if lists[0].suffix == ".gz" else file.read()
        text = raw.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise Unavailable(f"{lists[0]} cannot be read: {error}") from error
    return Recordings(language, folder, text, str(root))


def from_debian(language: str, cache: Path) -> Recordings:
    """Download and unpack Debian's packages; needs no root."""
    names = [f"asterisk-core-sounds-{language}", f"asterisk-core-sounds-{language}-wav"]
    return in_folder(language, fetched(names, cache / "prompts" / f"debian-{language}"))


def from_tarball(language: str, cache: Path) -> Recordings:
    """Download, check and unpack the Asterisk project's release."""
    unpacked = cache / "prompts" / f"asterisk-{language}"
    if not unpacked.is_dir():
        url = _TARBALL.format(language=language)
        archive = cache / "prompts" / url.rpartition("/")[2]
        _download(url, archive)
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != (pinned := _pinned(language)["tarball"]):
            archive.unlink()
            raise Unavailable(f"{url}: its SHA-256 is {digest}, expected {pinned}")
        with replaced_folder(unpacked) as part, tarfile.open(archive) as opened:
            opened.extractall(part, filter="data")
        archive.unlink()
    return in_folder(language, unpacked)


def _download(url: str, archive: Path) -> None:
    log.info("fetching %s", url)
    try:
        with (
            urllib.request.urlopen(url, timeout=60) as reply,
            atomic_path(archive) as temporary,
            open(temporary, "wb") as file,
        ):
            shutil.copyfileobj(reply, file)
    except (OSError, HTTPException, RunError) as error:
        raise Unavailable(f"{url}: {error}") from error


def _pinned(language: str) -> dict[str, str]:
    """Look up SHA-256 of a language's recordings and of its tarball, release 1.6.1."""
    manifest = json.loads(Path(__file__).with_name("manifest.json").read_text(encoding="utf-8"))
    return dict(manifest[language])


def recordings_hash(folder: Path) -> str:
    """Hash the recordings in a folder and their paths, whatever the case of these."""
    hashes = {
        str(path.relative_to(folder)).lower(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("**/*.wav"))
    }
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _check_recordings(recordings: Recordings) -> None:
    """Warn when the recordings are not those that the published figures were made with."""
    if recordings.digest != (pinned := _pinned(recordings.language)["recordings"]):
        log.warning(
            "%s: the %s recordings differ from release 1.6.1 (hash %s, expected %s); "
            "figures will differ from the published ones",
            recordings.folder,
            recordings.language,
            recordings.digest[:12],
            pinned[:12],
        )
