"""Wheel and source distribution: the same bytes each time, and the files of the commit."""

from __future__ import annotations

import os
import shutil
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from scripts.release.__main__ import differing
from scripts.release.build import build, normalise
from scripts.release.contents import faults

from .repositories import ROOT, commit_all, git

FILES = (
    *("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md"),
    *("CITATION.cff", ".gitattributes", ".git_archival.txt", "asr_hf/__init__.py"),
    *("asr_hf/py.typed", "asr_hf/runtime/version.py", "conf/train.yaml"),
    *("recipes/debian.py", "recipes/prompts/manifest.json", "tests/conftest.py", "constraints.txt"),
    *("docs/python.md", "scripts/run_page.py", "Makefile"),
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A few files of this project as a repository of one commit, with a tag."""
    folder = tmp_path_factory.mktemp("repository")
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit_all(folder)
    git(folder, "tag", "v7.8.9")
    return folder


@pytest.fixture(scope="module")
def built(repository, tmp_path_factory) -> tuple[Path, Path]:
    return build(repository, "HEAD", tmp_path_factory.mktemp("built"))


def test_a_build_elsewhere_with_other_times_and_modes_gives_the_same_bytes(
    repository, built, tmp_path_factory, monkeypatch
):
    clone = tmp_path_factory.mktemp("elsewhere") / "a longer name"
    git(repository, "clone", "--quiet", str(repository), str(clone))
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    before = os.umask(0o077)
    try:
        again = build(clone, "HEAD", tmp_path_factory.mktemp("again"))
    finally:
        os.umask(before)
    assert [path.name for path in built] == [path.name for path in again]
    assert built[0].name == "asr_hf-7.8.9-py3-none-any.whl"
    assert differing(built, again) == []


def test_files_have_the_time_of_the_commit_and_no_owner(repository, built):
    seconds = int(git(repository, "log", "-1", "--format=%ct"))
    wheel, sdist = built
    with tarfile.open(sdist) as opened:
        members = opened.getmembers()
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(seconds, 0, 0, "", "")}
    with zipfile.ZipFile(wheel) as archive:
        times = {info.date_time for info in archive.infolist()}
    # Zip files count in steps of two seconds.
    utc = time.gmtime(seconds)
    assert times == {(*utc[:5], utc.tm_sec // 2 * 2)}


def test_both_hold_the_files_of_the_commit_and_nothing_of_the_repository_beside(repository, built):
    assert faults(repository, "HEAD", *built) == []
    with zipfile.ZipFile(built[0]) as archive:
        names = {n for n in archive.namelist() if ".dist-info/" not in n}
    package = {name for name in FILES if name.startswith("asr_hf/")}
    beside = {f"asr_hf/{n}" for n in FILES if n.startswith(("conf/", "recipes/"))}
    assert names == package | beside


def altered(sdist: Path, target: Path, change) -> Path:
    """A copy of a source distribution whose files a function changed."""
    with tarfile.open(sdist) as opened:
        opened.extractall(target.parent / "open", filter="data")
    (root,) = (target.parent / "open").iterdir()
    change(root)
    with tarfile.open(target, "w:gz") as made:
        made.add(root, root.name)
    return target


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda root: (root / "asr_hf/py.typed").unlink(), "asr_hf/py.typed is missing"),
        (lambda root: (root / "notes.txt").write_text("x"), "notes.txt does not belong there"),
        (lambda root: (root / "conf/x.yaml").write_text("x"), "conf/x.yaml does not belong there"),
        (
            lambda root: (root / "recipes/debian.py").write_text("x"),
            "recipes/debian.py is not as in the commit",
        ),
    ],
)
def test_what_is_missing_or_too_many_or_another_is_named(repository, built, tmp_path, change, said):
    wheel, sdist = built
    changed = altered(sdist, tmp_path / sdist.name, change)
    assert faults(repository, "HEAD", wheel, changed) == [f"{sdist.name}: {said}"]


def test_a_version_other_than_the_tag_is_named(repository, built, tmp_path):
    wheel, sdist = built
    renamed = shutil.copy(wheel, tmp_path / "asr_hf-7.8.10-py3-none-any.whl")
    [fault] = faults(repository, "HEAD", renamed, sdist)
    assert fault == "asr_hf-7.8.10-py3-none-any.whl: git's tag is v7.8.9"


def test_two_source_distributions_of_the_same_files_become_the_same(built, tmp_path):
    _, sdist = built
    copies = []
    for name, mode in (("one", 0o600), ("two", 0o664)):
        place = tmp_path / name
        place.mkdir()

        def touch(root: Path, mode: int = mode) -> None:
            for path in root.rglob("*.py"):
                path.chmod(mode)
                os.utime(path, (mode, mode))

        copies.append(altered(sdist, place / sdist.name, touch))
    assert copies[0].read_bytes() != copies[1].read_bytes()
    for copy in copies:
        normalise(copy, 10**9)
    assert copies[0].read_bytes() == copies[1].read_bytes()
