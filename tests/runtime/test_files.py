from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from asr_hf.runtime.errors import AsrHfError, InputError, RunError
from asr_hf.runtime.files import (
    atomic_path,
    read_json,
    replaced_folder,
    sweep,
    write_json,
    write_text,
)
from asr_hf.runtime.skips import SkipList


def test_a_failing_block_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_read_only_folder_is_reported_with_its_file(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(RunError, match=r"a\.txt: cannot be written: Permission denied"):
        write_text(tmp_path / "a.txt", "x")
    assert list(tmp_path.iterdir()) == []


def test_json_that_strict_readers_refuse_is_not_written(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("content", [None, "", "{", '{"a": 1} x'])
def test_json_that_is_missing_or_damaged_is_named(tmp_path, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=r"a\.json"):
        read_json(path)


@pytest.mark.parametrize("kind", [AsrHfError, InputError, RunError])
def test_errors_survive_the_way_between_processes(kind):
    error = kind("p", expected="e", remedy="r")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == str(error) and again.remedy == "r"


def test_lists_in_messages_stay_aligned():
    lines = str(InputError("p", expected="one\ntwo")).splitlines()
    assert lines[1].index("one") == lines[2].index("two")


@pytest.mark.parametrize(
    ("skipped", "total", "stops"), [(0, 0, False), (1, 20, False), (2, 20, True), (1, 1, True)]
)
def test_more_skipped_utterances_than_the_limit_stop_the_run(skipped, total, stops):
    skips = SkipList("test", limit=0.05)
    for number in range(skipped):
        skips.add(f"u{number}", "empty")
    if not stops:
        skips.check(total)
        return
    with pytest.raises(InputError, match="u0: empty"):
        skips.check(total)


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "store"
    for content in ("old", "new"):
        with replaced_folder(target) as part:
            (part / "file").write_text(content)
        assert (target / "file").read_text() == content
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_replacement_leaves_the_old_folder(tmp_path):
    target = tmp_path / "store"
    target.mkdir()
    (target / "file").write_text("old")
    with pytest.raises(ValueError, match="stop"), replaced_folder(target) as part:
        (part / "file").write_text("half")
        raise ValueError("stop")
    assert (target / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


LEAVE = """
import os, sys, time
from asr_hf.runtime.files import atomic_path, replaced_folder
with replaced_folder(sys.argv[1]) as part, atomic_path(sys.argv[2]) as temporary:
    (part / "half").write_text("half")
    print(part, temporary, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_run_left_goes_and_a_living_one_keeps_its_own(tmp_path):
    command = [sys.executable, "-c", LEAVE, str(tmp_path / "store"), str(tmp_path / "file")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as writer:
        temporary = [Path(name) for name in writer.stdout.readline().split()]
        sweep(tmp_path)
        with replaced_folder(tmp_path / "store"):
            pass
        assert len(temporary) == 2 and all(path.exists() for path in temporary)
        writer.kill()
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_an_old_folder_comes_back_where_the_new_one_never_came(tmp_path):
    (tmp_path / ".store.0123456789abcdef.old").mkdir()
    (tmp_path / ".store.0123456789abcdef.old" / "file").write_text("old")
    (tmp_path / ".store.0123456789abcdef.tmp").mkdir()
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert (tmp_path / "store" / "file").read_text() == "old"


def test_what_is_not_ours_is_not_swept(tmp_path):
    names = [".lock", ".hidden", ".a.tmp", ".a.xyz.tmp", "a.0123.tmp", ".a.0123.tmpx"]
    for name in names:
        (tmp_path / name).write_text("")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_the_old_folder_is_put_back_when_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    target, replace = tmp_path / "store", os.replace
    target.mkdir()
    (target / "file").write_text("old")

    def refuse(source, to):
        if Path(source).name.endswith(".tmp"):
            raise OSError(28, "No space left on device")
        replace(source, to)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(RunError, match="No space"), replaced_folder(target):
        pass
    assert (target / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.fixture
def synced(monkeypatch):
    """The files and folders that were flushed, in order, and renames between them."""
    done, fsync, replace = [], os.fsync, os.replace

    def note(opened):
        done.append(("sync", Path(os.readlink(f"/proc/self/fd/{opened}"))))
        fsync(opened)

    def note_rename(source, target):
        done.append(("rename", Path(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "replace", note_rename)
    return done


def test_a_file_and_every_folder_on_the_way_to_it_are_flushed(tmp_path, synced):
    write_text(tmp_path / "a" / "b" / "c.txt", "text")
    made = [("sync", tmp_path), ("sync", tmp_path / "a")]
    assert synced[:2] == made
    (kind, written), *rest = synced[2:]
    assert kind == "sync" and written.parent == tmp_path / "a" / "b"
    assert rest == [("rename", tmp_path / "a" / "b" / "c.txt"), ("sync", tmp_path / "a" / "b")]


def test_all_of_a_folder_is_flushed_before_it_is_renamed(tmp_path, synced):
    with replaced_folder(tmp_path / "store") as part:
        (part / "sub").mkdir()
        for name in ("frames.bin", "sub/more.bin"):
            (part / name).write_bytes(b"x")
    before = synced[: synced.index(("rename", tmp_path / "store"))]
    named = {path.relative_to(part) for kind, path in before if kind == "sync"}
    assert named == {Path(name) for name in (".", "sub", "frames.bin", "sub/more.bin")}
    assert synced[-1] == ("sync", tmp_path)


def test_a_folder_that_cannot_be_made_is_a_run_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="store"), replaced_folder(tmp_path / "file" / "store"):
        pass
