"""The site as Sphinx builds it: no warnings, no link that leads nowhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from scripts.site.assemble import assemble
from scripts.site.navigation import SECTIONS, place_of

from ..chromium import LOOKS, Chromium
from ..chromium import browser as browser

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "html"
    command = [sys.executable, "-m", "scripts.site", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


class Page(HTMLParser):
    """The places and links of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.names.add(value)
            elif name in {"href", "src"} and value:
                self.links.append(value)


def test_all_pages_are_built(site):
    for section in SECTIONS:
        for page in section.pages:
            assert (site / place_of(page)).with_suffix(".html").exists(), page
    assert "toctree" in (site / "index.html").read_text()


def test_no_link_leads_nowhere(site):
    pages = {path: Page(path) for path in site.rglob("*.html")}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            if "://" in link or link.startswith(("mailto:", "data:")):
                continue
            name, _, place = unquote(link).partition("#")
            goal = (path.parent / name.partition("?")[0]).resolve() if name else path
            if goal.is_dir():
                goal /= "index.html"
            known = pages[goal].names if goal in pages else {place}
            if not goal.exists() or (place and place not in known):
                dead.append(f"{path.relative_to(site)}: {link}")
    assert not dead


@pytest.mark.parametrize("look", LOOKS)
def test_pages_show_all_they_hold(site, browser: Chromium, look: str) -> None:
    for page in ("index", "race", "architecture", "reference/settings"):
        browser.open(site / f"{page}.html", look)
        assert browser.faults() == [], page


def test_a_page_in_no_section_is_named(tmp_path):
    for name in ("docs", "recipes"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "docs/lost.md").write_text("# Lost\n")
    with pytest.raises(ValueError, match=r"nowhere: docs/lost\.md"):
        assemble(tmp_path, tmp_path / "out")
