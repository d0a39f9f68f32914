"""Where versions come from, and that all who name the last release name the same one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from asr_hf import __version__
from asr_hf.runtime.version import version
from scripts.release.notes import notes

from .repositories import ROOT, commit_all, git

RELEASE = re.compile(r"^## \[(\d\S*)\] - (\d{4}-\d\d-\d\d)$", re.MULTILINE)


def newest_release() -> tuple[str, str]:
    """Version and date of the newest release in CHANGELOG.md."""
    found = RELEASE.search((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert found
    return found[1], found[2]


def test_changelog_and_citation_and_fallback_name_the_same_release():
    number, date = newest_release()
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {number}" in citation and f"date-released: {date}" in citation
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools_scm"]["fallback_version"] == f"{number}+source"


def test_releases_of_the_changelog_stand_newest_first_below_what_is_unreleased():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    numbers = [tuple(map(int, number.split("."))) for number, _ in RELEASE.findall(text)]
    assert len(numbers) == len(headings) - 1
    assert numbers == sorted(numbers, reverse=True)


def test_a_tag_of_this_commit_is_the_newest_release():
    if not (ROOT / ".git").exists():
        pytest.skip("no repository")
    tags = git(ROOT, "tag", "--points-at", "HEAD", "--list", "v*").split()
    assert tags in ([], [f"v{newest_release()[0]}"])


def test_a_checkout_is_the_last_release_and_what_came_after_it():
    assert __version__ == version() == f"{newest_release()[0]}+source"


def test_what_pip_noted_does_not_matter_to_a_checkout(tmp_path):
    package = tmp_path / "asr_hf"
    package.mkdir()
    assert version(package) == "0+unknown"
    (tmp_path / "CITATION.cff").write_text("title: x\nversion: 3.1.4\n")
    assert version(package) == "3.1.4+source"


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository of one commit, whose versions are made as those of this project."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in (".git_archival.txt", ".gitattributes"):
        shutil.copy(ROOT / name, tmp_path)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit_all(tmp_path)
    return tmp_path


def built_version(folder: Path) -> str:
    """The version that a build in this folder would have."""
    given = {k: v for k, v in os.environ.items() if not k.startswith("SETUPTOOLS_SCM")}
    done = subprocess.run(
        [sys.executable, "-m", "setuptools_scm"],
        cwd=folder,
        env=given,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_tag_is_the_version_and_commits_behind_it_lead_to_the_next(repository):
    git(repository, "tag", "v7.8.9")
    assert built_version(repository) == "7.8.9"
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "Second")
    assert re.fullmatch(r"7\.8\.10\.dev1\+g[0-9a-f]{7,}", built_version(repository))


def test_a_repository_without_tags_counts_from_the_last_release(repository):
    base = ".".join(newest_release()[0].split(".")[:2])
    node = git(repository, "rev-parse", "HEAD")[:7]
    found = built_version(repository)
    assert re.fullmatch(rf"{base}\.\d+\.dev1\+source\.g{node}[0-9a-f]*", found), found


def test_a_folder_without_git_is_the_last_release(repository):
    shutil.rmtree(repository / ".git")
    assert built_version(repository) == f"{newest_release()[0]}+source"


def test_an_archive_knows_its_tag(repository, tmp_path_factory):
    git(repository, "tag", "v7.8.9")
    archive, folder = repository / "x.tar", tmp_path_factory.mktemp("archive")
    git(repository, "archive", "-o", str(archive), "HEAD")
    shutil.unpack_archive(archive, folder)
    assert built_version(folder) == "7.8.9"


def test_notes_of_a_release_are_its_part_of_the_changelog():
    text = (
        "# C\n\n## [Unreleased]\n\n- a\n\n## [1.1.0] - 2026-02-01\n\n- b\n\n## [1.0.0] - x\n\n- c\n"
    )
    assert (notes(text, "1.1.0"), notes(text, "1.0.0")) == ("- b\n", "- c\n")
    with pytest.raises(SystemExit, match=r"no release 1\.1$"):
        notes(text, "1.1")
