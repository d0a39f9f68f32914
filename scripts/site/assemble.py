"""Lays the sources of the site out in a folder, as Sphinx takes them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from scripts.site import commands, options
from scripts.site.links import for_site
from scripts.site.navigation import SECTIONS, contents, place_of

_PYTHON = """# The Python API

[From Python](../python.md) shows how to use it.

```{eval-rst}
.. automodule:: asr_hf
   :members: HessianFree, StochasticHessianFree, Recogniser, Transcription, TrainedModel, load_model
   :imported-members:
```
"""


def _python() -> str:
    return _PYTHON


_MADE: dict[str, Callable[[], str]] = {
    "reference/settings.md": options.page,
    "reference/commands.md": commands.page,
    "reference/python.md": _python,
}


def assemble(root: Path, out: Path) -> None:
    """Write all pages of the site, and the files that they link to.

    Args:
        root: folder of the repository.
        out: folder of the sources; made anew.

    Raises:
        OSError: a page links to what is no file of the repository.
        ValueError: a page of docs/ is in no section of the navigation.
    """
    shutil.rmtree(out, ignore_errors=True)
    listed = [page for section in SECTIONS for page in section.pages if page not in _MADE]
    pages = {path.relative_to(root).as_posix() for path in (root / "docs").rglob("*.md")}
    forgotten = pages - {*listed}
    if forgotten:
        message = f"scripts/site/navigation.py: nowhere: {', '.join(sorted(forgotten))}"
        raise ValueError(message)
    files = ["README.md", *listed]
    places = {file: place_of(file) for file in files}
    others: set[str] = set()
    for file, page in places.items():
        text = (root / file).read_text(encoding="utf-8")
        if file == "README.md":
            text += "\n" + contents()
        text, found = for_site(text, file, page, places)
        others |= found
        _write(out / page, text)
    for page, make in _MADE.items():
        _write(out / page, make())
    for other in sorted(others):
        _copy(root / other, out / "files" / other)
    _copy(Path(__file__).with_name("sphinx_conf.py"), out / "conf.py")
    _copy(Path(__file__).with_name("site.css"), out / "static/site.css")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _copy(source: Path, goal: Path) -> None:
    goal.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, goal)
