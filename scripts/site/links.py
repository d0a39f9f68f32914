"""Turns links between files of the repository into links between pages of the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping

# An image or a link in Markdown; not one in a line of code, which has no blank before its bracket.
_LINK = re.compile(r"(?P<text>!?\[(?:[^\]\[]|\[[^\]]*\])*\])\((?P<target>[^)\s]+)\)")
_FENCE = re.compile(r"^(```|~~~)")


def for_site(text: str, file: str, page: str, places: Mapping[str, str]) -> tuple[str, set[str]]:
    """Rewrite the links of a page.

    Args:
        text: the page, in Markdown.
        file: its path in the repository, with slashes.
        page: its path in the site.
        places: path in the site of each file of the repository that is a page there.

    Returns:
        The page, and the other files of the repository that it links to. These lie in the site
        under files/ and their path in the repository.
    """
    others: set[str] = set()

    def rewritten(found: re.Match[str]) -> str:
        target, hash_, place = found["target"].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), target))
        if path in places:
            goal = places[path]
        else:
            others.add(path)
            goal = f"files/{path}"
        near = posixpath.relpath(goal, posixpath.dirname(page) or ".")
        return f"{found['text']}({near}{hash_}{place})"

    return outside_code(text, lambda part: _LINK.sub(rewritten, part)), others


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change the lines of a page that are in no fenced block.

    Args:
        text: the page, in Markdown.
        change: makes other lines of some lines.

    Returns:
        The page.
    """
    parts: list[str] = []
    prose: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line.lstrip())
        if not fence and mark:
            parts.append(change("".join(prose)))
            prose, fence = [], mark[1]
            parts.append(line)
        elif fence:
            parts.append(line)
            if mark and mark[1] == fence:
                fence = ""
        else:
            prose.append(line)
    parts.append(change("".join(prose)))
    return "".join(parts)
