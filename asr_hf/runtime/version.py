"""The version of this program: of the package that is installed, or of the checkout."""

from __future__ import annotations

import re
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def version(package: Path = _PACKAGE) -> str:
    """Return the version of the installed package, or the last release of a checkout.

    Git gave the installed package its version when it was built. A checkout goes on after pip has
    looked at it, so what pip noted may be old. Its own CITATION.cff names the last release, and
    `+source` says that the checkout may hold more.

    Args:
        package: folder of the package.

    Returns:
        The version, as PEP 440 writes it; 0+unknown where nothing says it.
    """
    # A wheel has the configuration inside the package, a checkout beside it.
    if (package / "conf").is_dir():
        from importlib import metadata

        try:
            return metadata.version("asr-hf")
        except metadata.PackageNotFoundError:
            return "0+unknown"
    citation = package.parent / "CITATION.cff"
    text = citation.read_text(encoding="utf-8") if citation.is_file() else ""
    found = re.search(r"^version: (\S+)$", text, re.MULTILINE)
    return f"{found[1]}+source" if found else "0+unknown"


__version__ = version()
