"""Where the game's recordings and texts are."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from asr_hf.runtime.errors import InputError

from ..debian import Unavailable, fetched, first_available, given

log = logging.getLogger("asr_hf.recipes.fillets")

_TEXTS = "fillets-ng-data"
LANGUAGES = ("cs", "nl")


@dataclass(frozen=True)
class Recordings:
    """The recordings and texts of one language.

    Args:
        language: code of the language.
        scripts: scene -> scripts with its texts.
        audio: scene, folders below it, and name of a recording -> audio file.
    """

    language: str
    scripts: dict[str, list[Path]]
    audio: dict[tuple[str, ...], Path]

    @cached_property
    def digest(self) -> str:
        """A hash of every recording and script."""
        scripts = {
            f"{scene}/{path.name}": path for scene, paths in self.scripts.items() for path in paths
        }
        files = scripts | {"/".join(key): path for key, path in self.audio.items()}
        hashes = {
            name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()
        }
        return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def find_recordings(language: str, source: Path | None, cache: Path) -> Recordings:
    """Find or fetch the recordings of a language, and warn when figures were made with others.

    Tried in order: what the user names (alone, when something is named), the installed system,
    Debian's packages.

    Args:
        language: cs or nl.
        source: a folder that holds the game's folders `script` and `sound`, or the package files.
        cache: folder of downloads.

    Returns:
        The recordings of the first source that has them.

    Raises:
        InputError: none has them, and why each failed; or the recipe does not know the language.
    """
    if language not in LANGUAGES:
        raise InputError(
            f"corpus.languages: the game is not spoken in {language!r}",
            expected=f"some of {', '.join(LANGUAGES)}",
        )
    unpacked = cache / "fillets"
    sources: list[tuple[str, Callable[[], Recordings]]]
    if source is not None:
        sources = [("corpus.source", lambda: in_folders(language, [given(source, unpacked)]))]
    else:
        sources = [
            ("installed system", lambda: installed(language)),
            ("Debian packages", lambda: from_debian(language, unpacked)),
        ]
    packages = f"{_TEXTS} and {_TEXTS}-{language}"
    recordings = first_available(
        f"the {language} recordings",
        sources,
        expected=f"the packages {packages}",
        remedy="install these packages, or set corpus.source to a folder with their files (.deb)",
    )
    if recordings.digest != (pinned := pinned_digest(language)):
        log.warning(
            "the %s recordings differ from those of %s 1.0.1 (hash %s, expected %s); figures will "
            "differ from the published ones",
            language,
            packages,
            recordings.digest[:12],
            pinned[:12],
        )
    return recordings


def installed(language: str, share: Path = Path("/usr/share")) -> Recordings:
    """Look where Debian's packages install them."""
    return in_folders(language, [share / "games" / "fillets-ng"])


def from_debian(language: str, cache: Path) -> Recordings:
    """Fetch Debian's packages."""
    texts = fetched([_TEXTS], cache / "debian")
    audio = fetched([f"{_TEXTS}-{language}"], cache / f"debian-{language}")
    return in_folders(language, [texts, audio])


def in_folders(language: str, roots: Iterable[Path]) -> Recordings:
    """Look for the game's folders below some folders."""
    roots = list(roots)
    scripts: dict[str, list[Path]] = {}
    audio: dict[tuple[str, ...], Path] = {}
    for root in roots:
        for path in sorted(root.glob(f"**/script/*/*dialogs_{language}.lua")):
            scripts.setdefault(path.parent.name, []).append(path)
        for path in sorted(root.glob(f"**/sound/**/{language}/*.ogg")):
            parts = path.parts
            below = len(parts) - 1 - parts[::-1].index("sound")
            audio[(*parts[below + 1 : -2], path.stem)] = path
    where = ", ".join(map(str, roots))
    if not scripts:
        raise Unavailable(f"{where}: no script/*/*dialogs_{language}.lua")
    if not audio:
        raise Unavailable(f"{where}: no sound/*/{language}/*.ogg")
    return Recordings(language, scripts, audio)


def pinned_digest(language: str) -> str:
    """Return the hash of the recordings that figures were made with."""
    manifest = json.loads(Path(__file__).with_name("manifest.json").read_text(encoding="utf-8"))
    return str(manifest[language])
