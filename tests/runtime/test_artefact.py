"""Records of artefacts: what is kept, what is made again, and what readers are told."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_hf.runtime import artefact
from asr_hf.runtime.artefact import changed_sources, current, current_or_make, make_anew, read
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import ArtefactSpec, Source, all_settings, differences, digest
from asr_hf.runtime.skips import SkipList

FILES = {"a.bin": b"some bytes", "b.txt": b"others\n", "sub/c.npy": b"\x00\x01"}


def wanted(width: int = 3, **sources: Source) -> ArtefactSpec:
    return ArtefactSpec("thing", {"group.width": width}, {"data": Source.of_values(1)} | sources)


class Maker:
    """Writes FILES and counts how often."""

    def __init__(self, files: dict[str, bytes] = FILES) -> None:
        self.files, self.times = files, 0

    def __call__(self, folder: Path) -> dict:
        self.times += 1
        for name, content in self.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        return {"skipped": {"u1": "no frames"}}


def made(folder: Path, what: ArtefactSpec, make: Maker, whole: bool = False) -> artefact.Artefact:
    return current_or_make(folder, what, make, whole=whole, inside=("sub",))


@pytest.fixture(params=[False, True], ids=["in-place", "whole"])
def whole(request) -> bool:
    return request.param


def test_the_same_is_kept_and_says_what_it_said(tmp_path, whole):
    make = Maker()
    first = made(tmp_path / "x", wanted(), make, whole)
    again = made(tmp_path / "x", wanted(), make, whole)
    assert make.times == 1
    assert again.about == first.about == {"skipped": {"u1": "no frames"}}
    assert set(again.content) == set(FILES) and again.digest == first.digest


@pytest.mark.parametrize(
    "other",
    [
        wanted(4),
        wanted(data=Source.of_values(2)),
        wanted(more=Source.of_values(1)),
        ArtefactSpec("other thing", wanted().settings, wanted().sources),
    ],
    ids=["setting", "source", "one-more", "kind"],
)
def test_what_is_made_from_something_else_is_made_again(tmp_path, whole, other):
    make = Maker()
    made(tmp_path / "x", wanted(), make, whole)
    made(tmp_path / "x", other, make, whole)
    assert make.times == 2
    assert read(tmp_path / "x").kind == other.kind
    assert current(tmp_path / "x", wanted()) is None


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "cut": lambda path: os.truncate(path, path.stat().st_size - 2),
    "emptied": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "gone": lambda path: path.unlink(),
    "a-folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", [*FILES, artefact.RECORD])
@pytest.mark.parametrize("damage", list(DAMAGE))
def test_what_is_damaged_is_made_again_as_it_was(tmp_path, whole, name, damage):
    make = Maker()
    first = made(tmp_path / "x", wanted(), make, whole)
    DAMAGE[damage](tmp_path / "x" / name)
    if damage == "a-folder":
        shutil.rmtree(tmp_path / "x" / name)
    again = made(tmp_path / "x", wanted(), make, whole)
    assert make.times == 2 and again.digest == first.digest
    assert not again.damage()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_no_flipped_bit_goes_unseen(tmp_path, data):
    folder = tmp_path / "x"
    shutil.rmtree(folder, ignore_errors=True)
    made(folder, wanted(), Maker())
    path = folder / data.draw(st.sampled_from([*FILES, artefact.RECORD]))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) * 8 - 1))
    content[place // 8] ^= 1 << (place % 8)
    path.write_bytes(content)
    assert current(folder, wanted()) is None


def test_what_was_begun_and_not_finished_is_no_artefact(tmp_path):
    folder = tmp_path / "x"
    made(folder, wanted(), Maker())

    def killed(part: Path) -> dict:
        (part / "a.bin").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_anew(folder, wanted(4), killed)
    for what in (wanted(), wanted(4)):
        assert current(folder, what) is None
    with pytest.raises(InputError, match=r"\(thing\): not finished(.|\n)*asr-hf things"):
        read(folder, "asr-hf things")
    make = Maker({"a.bin": b"whole"})
    made(folder, wanted(4), make)
    # The files of the first artefact are gone, though two other makers came between.
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == ["a.bin", artefact.RECORD]


@pytest.mark.parametrize("place", ["", "lang/es", "train"])
def test_what_killed_makers_left_in_the_folder_goes(tmp_path, place, whole):
    folder = tmp_path / "made"
    left = folder / place / ".lexicon.txt.0123456789abcdef.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a")
    made(folder, wanted(), Maker({"feats.ark": b"features"}), whole)
    assert not left.exists()


def test_a_maker_that_fails_leaves_the_whole_old_one(tmp_path):
    folder = tmp_path / "x"
    made(folder, wanted(), Maker(), whole=True)

    def fails(part: Path) -> dict:
        raise InputError("no")

    with pytest.raises(InputError):
        make_anew(folder, wanted(4), fails, whole=True)
    assert current(folder, wanted()) is not None
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_artefacts_inside_another_are_not_its_own(tmp_path):
    outer = tmp_path / "x"
    made(outer, wanted(), Maker())
    inner = made(outer / "sub" / "inner", wanted(), Maker({"a.bin": b"inner"}))
    beside = made(outer / "inner", wanted(), Maker({"a.bin": b"inner"}))
    make = Maker()
    made(outer, wanted(5), make)
    assert make.times == 1
    assert not beside.damage() and not any("inner" in name for name in read(outer).content)
    assert inner.digest == beside.digest


def test_readers_are_told_what_moved_on_below_them(tmp_path):
    features = made(tmp_path / "features", wanted(3), Maker())
    labels = made(tmp_path / "labels", wanted(features=features.source), Maker())
    store = made(tmp_path / "store", wanted(labels=labels.source), Maker())
    assert changed_sources(store) == []
    made(tmp_path / "features", wanted(4), Maker({"a.bin": b"of width 4"}))
    assert changed_sources(store) == changed_sources(labels) == ["group.width: 3 -> 4"]
    shutil.rmtree(tmp_path / "features")
    assert changed_sources(store) == []


def test_the_same_bytes_made_anew_have_not_moved_on(tmp_path):
    features = made(tmp_path / "features", wanted(), Maker())
    store = made(tmp_path / "store", wanted(features=features.source), Maker())
    shutil.rmtree(tmp_path / "features")
    made(tmp_path / "features", wanted(), Maker())
    assert changed_sources(store) == []


def test_settings_far_back_are_known_the_nearest_first():
    far = Source("1", "far", {"a": 1, "b": 1})
    near = Source("2", "near", {"a": 2}, {"far": far})
    beside = Source("3", "beside", {"b": 3})
    assert all_settings(Source("4", "x", {}, {"near": near, "beside": beside})) == {"a": 2, "b": 3}


def test_differences_name_the_setting_where_it_was_chosen():
    def store(bins: int, audio: str) -> Source:
        features = Source(f"{bins}{audio}", "f", {"features.bins": bins}, {"audio": Source(audio)})
        labels = Source(f"l{bins}{audio}", "l", {}, {"features": features})
        return Source(f"s{bins}{audio}", "s", {}, {"labels": labels, "features": features})

    assert differences(store(40, "x"), store(80, "x")) == ["features.bins: 40 -> 80"]
    assert differences(store(40, "x"), store(40, "y")) == ["audio: x -> y"]
    assert differences(store(40, "x"), store(40, "x")) == []


def test_a_corpus_may_move(tmp_path):
    old = tmp_path / "old"

    def archive(part: Path) -> dict:
        (part / "feats.ark").write_bytes(b"bytes")
        (part / "feats.scp").write_text(f"u1 {(part / 'feats.ark').absolute()}:3\n")
        return {}

    features = current_or_make(old / "features", wanted(), archive)
    made(old / "store", wanted(features=features.source), Maker())
    new = tmp_path / "elsewhere" / "new"
    shutil.copytree(old, new)
    shutil.rmtree(old)
    assert current(new / "features", wanted()) is None, "its index leads nowhere"
    scp = new / "features" / "feats.scp"
    scp.write_text(scp.read_text().replace(str(old), str(new)))
    moved = current(new / "features", wanted())
    assert moved is not None and moved.digest == features.digest
    assert current(new / "store", wanted(features=moved.source)) is not None
    make_anew(new / "features", wanted(9), Maker({"feats.ark": b"others"}))
    assert changed_sources(read(new / "store")) == ["group.width: 3 -> 9"]


def test_what_was_skipped_is_held_against_todays_limit(tmp_path, caplog):
    folder, make = tmp_path / "x", Maker()

    def with_limit(limit: float) -> None:
        skips = SkipList("making", limit, "group.max_skipped")
        current_or_make(folder, wanted(), make, inside=("sub",), skips=(skips, 10))

    with_limit(0.2)
    with caplog.at_level(logging.WARNING):
        with_limit(0.2)
    assert "making: 1 of 10 utterances skipped:\n    u1: no frames" in caplog.text
    with pytest.raises(InputError, match=r"1 of 10(.|\n)*raise group\.max_skipped"):
        with_limit(0.05)
    assert make.times == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["content"].update({"../../etc/passwd": [1, "0"]}),
        lambda record: record["content"].update({"/etc/passwd": [1, "0"]}),
        lambda record: record.update(format="asr-hf-artefact-0"),
        lambda record: record.update(sources={"a": 3}),
        lambda record: record.update(settings=None),
        lambda record: record.pop("content"),
    ],
)
def test_a_made_up_record_is_refused_by_name(tmp_path, change):
    folder = tmp_path / "x"
    made(folder, wanted(), Maker())
    record = json.loads((folder / artefact.RECORD).read_text())
    record.pop("checksum")
    change(record)
    (folder / artefact.RECORD).write_text(json.dumps(record | {"checksum": digest(record)}))
    with pytest.raises(InputError, match=r"x/artefact\.json: damaged"):
        read(folder)
    assert current(folder, wanted()) is None
