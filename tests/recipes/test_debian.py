"""What fetches and unpacks Debian's packages."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe

load_recipe("queen")
debian = importlib.import_module("asr_hf_recipes.debian")


def package(folder: Path, name: str) -> Path:
    """A package file with one file in it, called as the package."""
    if shutil.which("dpkg-deb") is None and not os.environ.get("CI"):
        pytest.skip("no dpkg-deb")
    tree = folder / f"{name}-tree"
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.c>\n"
    (tree / "DEBIAN" / "control").write_text(f"{control}Description: a test\n")
    (tree / "usr" / "share").mkdir(parents=True)
    (tree / "usr" / "share" / name).write_text(f"the content of {name}")
    archive = folder / f"{name}.deb"
    command = ["dpkg-deb", "--root-owner-group", "-b", str(tree), str(archive)]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(tree)
    return archive


def tools(folder: Path, monkeypatch, **scripts: str) -> Path:
    """Programs that stand before the system's; returns a log for them."""
    (folder / "bin").mkdir()
    for name, script in scripts.items():
        path = folder / "bin" / name
        path.write_text(f'#!/bin/sh\necho "$@" >> {folder / "log"}\n{script}\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"), prepend=":")
    return folder / "log"


def test_a_package_file_or_a_folder_of_them_is_unpacked_once(tmp_path):
    one, _ = package(tmp_path, "one"), package(tmp_path, "two")
    unpacked = debian.given(one, tmp_path / "cache")
    assert (unpacked / "usr/share/one").read_text() == "the content of one"
    both = debian.given(tmp_path, tmp_path / "cache")
    assert {path.name for path in (both / "usr" / "share").iterdir()} == {"one", "two"}
    (both / "usr" / "share" / "one").write_text("kept")
    assert debian.given(tmp_path, tmp_path / "cache") == both
    assert (both / "usr" / "share" / "one").read_text() == "kept"
    assert not list(both.glob("*.deb"))


def test_another_package_file_of_the_same_name_is_unpacked_anew(tmp_path):
    before = debian.given(package(tmp_path, "one"), tmp_path / "cache")
    os.replace(package(tmp_path, "two"), tmp_path / "one.deb")
    after = debian.given(tmp_path / "one.deb", tmp_path / "cache")
    assert after != before and (after / "usr" / "share" / "two").is_file()


def test_a_folder_without_package_files_is_itself(tmp_path):
    (tmp_path / "file").write_text("x")
    assert debian.given(tmp_path, tmp_path / "cache") == tmp_path


@pytest.mark.parametrize("name", ["nowhere", "nowhere.deb", "file"])
def test_what_is_neither_is_said(tmp_path, name):
    (tmp_path / "file").write_text("x")
    with pytest.raises(debian.Unavailable, match=f"{name} is neither a folder nor a package"):
        debian.given(tmp_path / name, tmp_path / "cache")


def test_a_damaged_package_file_leaves_nothing(tmp_path):
    archive = package(tmp_path, "one")
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(debian.Unavailable, match=r"dpkg-deb -x .*one\.deb"):
        debian.given(archive, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_packages_are_fetched_and_unpacked_once(tmp_path, monkeypatch):
    archive = package(tmp_path, "one")
    log = tools(tmp_path, monkeypatch, **{"apt-get": f'cp {archive} "$2.deb"'})
    folder = debian.fetched(["one", "again"], tmp_path / "cache" / "debian")
    assert (folder / "usr/share/one").is_file() and not list(folder.glob("*.deb"))
    assert log.read_text().splitlines() == ["download one", "download again"]
    debian.fetched(["one", "again"], folder)
    assert len(log.read_text().splitlines()) == 2


def test_without_package_lists_private_ones_are_fetched(tmp_path, monkeypatch):
    archive = package(tmp_path, "one")
    script = f'case "$1" in download) exit 100;; esac\nfor last; do :; done\ncp {archive} one.deb'
    log = tools(tmp_path, monkeypatch, **{"apt-get": script})
    debian.fetched(["one"], tmp_path / "cache" / "debian")
    assert [line.split()[-1] for line in log.read_text().splitlines()] == ["one", "update", "one"]


def test_no_way_that_works_says_why_each_failed():
    def fails():
        raise debian.Unavailable("no such place")

    def breaks():
        raise PermissionError(13, "Permission denied")

    with pytest.raises(InputError) as refused:
        debian.first_available("it", [("a", fails), ("b", breaks)], "this", "do that")
    said = str(refused.value)
    for text in ("it cannot be had", "a: no such place", "b: ", "Permission denied", "do that"):
        assert text in said
    assert debian.first_available("it", [("a", fails), ("b", lambda: 5)], "", "") == 5
