from __future__ import annotations

import os
import pickle

import pytest

from asr_hf.runtime.errors import AsrHfError, InputError, RunError
from asr_hf.runtime.files import atomic_path, read_json, replaced_folder, write_json, write_text
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


def test_what_a_killed_run_left_goes_and_a_living_one_keeps_its_own(tmp_path):
    dead, living = tmp_path / ".store.999999999.tmp", tmp_path / f".store.{os.getppid()}.tmp"
    dead.mkdir()
    living.mkdir()
    with replaced_folder(tmp_path / "store"):
        pass
    assert not dead.exists() and living.exists()


def test_a_folder_that_cannot_be_made_is_a_run_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="store"), replaced_folder(tmp_path / "file" / "store"):
        pass
