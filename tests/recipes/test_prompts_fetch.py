from __future__ import annotations

import hashlib
import importlib
import io
import shutil
import tarfile

import pytest

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe

load_recipe("prompts")
fetch = importlib.import_module("asr_hf_recipes.prompts.fetch")


@pytest.mark.parametrize("debian", [True, False])
def test_a_folder_is_read_in_the_layout_of_packages_and_of_tarballs(tmp_path, package, debian):
    sounds = package(tmp_path / "mine", debian=debian)
    found = fetch.find_recordings("en", str(tmp_path / "mine"), tmp_path / "cache")
    assert found.folder == sounds
    assert "vm-goodbye: Goodbye" in found.transcripts
    assert not found.transcripts.startswith("\ufeff")
    assert found.speaker == "en_us_f_allison"
    assert not (tmp_path / "cache").exists()


def test_the_installed_system_is_read_without_walking_it(tmp_path, package):
    sounds = package(tmp_path)
    assert fetch.installed("en", tmp_path / "usr/share").folder == sounds


def test_installed_transcripts_without_wavs_do_not_count(tmp_path, package):
    sounds = package(tmp_path)
    for wav in sounds.rglob("*.wav"):
        wav.rename(wav.with_suffix(".gsm"))
    with pytest.raises(fetch.Unavailable, match="no en recordings"):
        fetch.installed("en", tmp_path / "usr/share")


def test_when_every_way_fails_each_says_why(tmp_path, monkeypatch):
    def nothing(language):
        raise fetch.Unavailable("/usr/share holds no core-sounds-en.txt")

    def no_server(url, timeout):
        raise OSError("network is unreachable")

    monkeypatch.setattr(fetch, "installed", nothing)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(fetch.urllib.request, "urlopen", no_server)
    with pytest.raises(InputError) as caught:
        fetch.find_recordings("en", None, tmp_path / "cache")
    message = str(caught.value)
    for reason in (
        "installed system: /usr/share holds no core-sounds-en.txt",
        "Debian packages: no apt-get and dpkg-deb on this machine",
        "Asterisk tarball: https://",
        "network is unreachable",
        "asterisk-core-sounds-en-wav",
        "corpus.source=FOLDER",
    ):
        assert reason in message
    assert not list((tmp_path / "cache").rglob("*.*"))


def test_a_named_folder_is_the_only_place_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "installed", lambda language: pytest.fail("looked elsewhere"))
    with pytest.raises(InputError, match=r"corpus\.source: .*nowhere is no folder"):
        fetch.find_recordings("en", str(tmp_path / "nowhere"), tmp_path)


@pytest.mark.parametrize("damage", [b"", b"no gzip", None])
def test_a_damaged_list_is_named(tmp_path, package, damage):
    package(tmp_path)
    listed = next(tmp_path.rglob("*.txt.gz"))
    listed.write_bytes(listed.read_bytes()[:-20] if damage is None else damage)
    if damage == b"":
        # An empty file is an empty gzip stream to Python.
        assert fetch.in_folder("en", tmp_path).transcripts == ""
        return
    with pytest.raises(InputError, match=r"core-sounds-en\.txt\.gz cannot be read"):
        fetch.find_recordings("en", str(tmp_path), tmp_path / "cache")


def test_an_unknown_language_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(InputError, match=r"no 'de'(.|\n)*en, es, fr, it, ru"):
        fetch.find_recordings("de", None, tmp_path)


def test_other_recordings_are_used_with_a_warning(tmp_path, package, caplog):
    package(tmp_path)
    fetch.find_recordings("en", str(tmp_path), tmp_path / "cache")
    assert "differ from release 1.6.1" in caplog.text


def test_recordings_are_known_by_content_whatever_the_case_of_names(tmp_path, package):
    sounds = package(tmp_path / "a")
    before = fetch.recordings_hash(sounds)
    (sounds / "vm-goodbye.wav").rename(sounds / "VM-goodbye.wav")
    assert fetch.recordings_hash(sounds) == before
    with open(sounds / "VM-goodbye.wav", "ab") as wav:
        wav.write(b"\0")
    assert fetch.recordings_hash(sounds) != before


def _serve_tarball(tmp_path, package, monkeypatch, pinned=None):
    package(tmp_path / "release", debian=False)
    archive = tmp_path / "release.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(tmp_path / "release", arcname=".")
    served = archive.read_bytes()
    pinned = pinned or hashlib.sha256(served).hexdigest()
    monkeypatch.setattr(fetch.urllib.request, "urlopen", lambda url, timeout: io.BytesIO(served))
    monkeypatch.setattr(fetch, "_pinned", lambda language: {"tarball": pinned, "recordings": ""})


def test_a_tarball_is_fetched_checked_and_unpacked_once(tmp_path, package, monkeypatch):
    _serve_tarball(tmp_path, package, monkeypatch)
    found = fetch.from_tarball("en", tmp_path / "cache")
    assert (found.folder / "digits" / "1.wav").exists()
    monkeypatch.setattr(fetch.urllib.request, "urlopen", lambda url, timeout: pytest.fail("again"))
    assert fetch.from_tarball("en", tmp_path / "cache").transcripts == found.transcripts


def test_a_tarball_with_another_checksum_is_refused_and_removed(tmp_path, package, monkeypatch):
    _serve_tarball(tmp_path, package, monkeypatch, pinned="0" * 64)
    with pytest.raises(fetch.Unavailable, match=r"SHA-256 is .* expected 0000"):
        fetch.from_tarball("en", tmp_path / "cache")
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_a_failed_apt_download_leaves_no_half_unpacked_folder(tmp_path, monkeypatch):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("apt-get", "dpkg-deb"):
        (tools / name).write_text("#!/bin/sh\necho E: no such package >&2\nexit 100\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    with pytest.raises(fetch.Unavailable, match="E: no such package"):
        fetch.from_debian("en", tmp_path / "cache")
    assert not list((tmp_path / "cache" / "prompts").glob("*debian*"))
