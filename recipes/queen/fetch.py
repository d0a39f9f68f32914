"""Where the game's file is."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from ..debian import Unavailable, fetched, first_available, given

log = logging.getLogger("asr_hf.recipes.queen")

PACKAGE = "flight-of-the-amazon-queen"
FILE = "queen.1c"


@dataclass(frozen=True)
class Game:
    """The game's file.

    Args:
        path: path of the file.
        digest: SHA-256 of the file.
    """

    path: Path
    digest: str


def find_game(source: Path | None, cache: Path) -> Game:
    """Find or fetch the game's file, and warn when it is another than figures were made with.

    Tried in order: what the user names (alone, when something is named), the installed system,
    Debian's package.

    Args:
        source: a folder that holds the file or the package file, or a package file (.deb).
        cache: folder of downloads.

    Returns:
        The file of the first source that has it.

    Raises:
        InputError: none has it, and why each failed.
    """
    if source is not None:
        sources = [("corpus.source", lambda: in_folder(given(source, cache / "queen")))]
    else:
        sources = [
            ("installed system", installed),
            ("Debian package", lambda: in_folder(fetched([PACKAGE], cache / "queen" / "debian"))),
        ]
    path = first_available(
        f"the game's file {FILE}",
        sources,
        expected=f"the package {PACKAGE}",
        remedy="install this package, or set corpus.source to its file (.deb) or a folder with it",
    )
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != (pinned := pinned_digest()):
        log.warning(
            "%s differs from that of %s 1.0.0-9 (SHA-256 %s, expected %s); figures will differ "
            "from the published ones",
            path,
            PACKAGE,
            digest[:12],
            pinned[:12],
        )
    return Game(path, digest)


def installed(share: Path = Path("/usr/share")) -> Path:
    """Look where Debian's package installs it."""
    path = share / "scummvm" / PACKAGE / FILE
    if not path.is_file():
        raise Unavailable(f"no {path}")
    return path


def in_folder(root: Path) -> Path:
    """Look for the file below a folder."""
    paths = sorted(root.rglob(FILE))
    if not paths:
        raise Unavailable(f"{root} holds no {FILE}")
    return paths[0]


def pinned_digest() -> str:
    """Return the SHA-256 of the file that figures were made with."""
    manifest = json.loads(Path(__file__).with_name("manifest.json").read_text(encoding="utf-8"))
    return str(manifest[FILE])
