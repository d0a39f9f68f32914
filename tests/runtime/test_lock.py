"""A folder is held by one process, across containers and machines, and by none that is dead."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from asr_hf.runtime import lock
from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.interruption import Interruption
from asr_hf.runtime.lock import hold_folder
from asr_hf.runtime.lock_holder import Holder

HOLD = """
import sys
from pathlib import Path
from asr_hf.runtime.lock import hold_folder
with hold_folder(Path(sys.argv[1]), "asr-hf align"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(folder: Path):
    """Another process that holds a folder."""
    command, pipe = [sys.executable, "-c", HOLD, str(folder)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(lock, "_BEAT_SECONDS", 0.05)
    monkeypatch.setattr(lock, "_DEAD_SECONDS", 1.0)


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as caught, hold_folder(folder, "asr-hf align"):
        pass
    return caught.value.problem


def test_a_second_one_is_refused_and_told_who_holds_the_folder(tmp_path):
    with holder(tmp_path) as other:
        said = refused(tmp_path)
        assert f"{tmp_path}: in use by process {other.pid} on " in said and "asr-hf align" in said


def test_it_is_free_when_its_holder_has_ended_or_was_killed(tmp_path):
    for _ in range(2):
        with holder(tmp_path) as other:
            other.stdin.close()
            assert other.wait() == 0
        with holder(tmp_path) as other:
            other.kill()
            other.wait()
        with hold_folder(tmp_path, "asr-hf align"):
            pass


def test_a_stopped_holder_still_holds_it(tmp_path):
    with holder(tmp_path) as other:
        other.send_signal(signal.SIGSTOP)
        assert "in use by" in refused(tmp_path)


@pytest.mark.parametrize("file", [".lock", "."])
def test_removing_the_file_of_a_held_lock_lets_nobody_in(tmp_path, file):
    folder = tmp_path / "run"
    with holder(folder):
        (folder / ".lock").unlink()
        if file == ".":
            (folder / ".lock").write_text("")
        assert "in use by" in refused(folder)


def test_one_that_is_refused_leaves_the_place_of_a_removed_file_to_its_holder(tmp_path):
    """Which would take a file that it finds there for another's, and stop."""
    with holder(tmp_path) as other:
        other.send_signal(signal.SIGSTOP)
        (tmp_path / ".lock").unlink()
        assert "in use by another process" in refused(tmp_path)
        assert not (tmp_path / ".lock").exists()


def test_a_file_that_was_only_removed_comes_back(tmp_path, quick):
    with hold_folder(tmp_path, "asr-hf align"):
        before = (tmp_path / ".lock").read_bytes()
        (tmp_path / ".lock").unlink()
        end = time.monotonic() + 20
        while not (tmp_path / ".lock").exists() and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.2)
        assert (tmp_path / ".lock").read_bytes() == before
    assert (tmp_path / ".lock").read_bytes() == b""


def taken_by_another(folder: Path) -> None:
    other = replace(Holder.here("x"), host="elsewhere", boot="another", token="theirs")
    (folder / ".lock").unlink()
    (folder / ".lock").write_text(json.dumps(asdict(other)))


def moved(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def remade(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.mark.parametrize("act", [taken_by_another, moved, remade, shutil.rmtree])
def test_a_holder_whose_lock_is_taken_away_stops(tmp_path, quick, act):
    folder = tmp_path / "run"
    with (
        Interruption(),
        pytest.raises(RunError, match="in use by this process, but"),
        hold_folder(folder, "asr-hf align"),
    ):
        act(folder)
        for _ in range(400):
            time.sleep(0.05)
    if act is taken_by_another:
        # What the other one wrote stays.
        assert json.loads((folder / ".lock").read_text())["token"] == "theirs"


def record(folder: Path, **changes: object) -> Holder:
    """Write a record as another holder would, `changes` from this process's own."""
    other = replace(Holder.here("asr-hf align"), **changes)
    folder.mkdir(exist_ok=True)
    (folder / ".lock").write_text(json.dumps(asdict(other)))
    return other


ELSEWHERE = {"host": "elsewhere", "boot": "another machine", "pid": 12}
# A container of another machine that has the same name, whose process has the same number.
TWIN = {"boot": "another machine"}


@contextmanager
def beating(folder: Path):
    """As a holder on another machine does: renew the stamp."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.05):
            os.utime(folder / ".lock")

    thread = threading.Thread(target=beat)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.mark.parametrize("changes", [ELSEWHERE, TWIN])
def test_a_living_holder_on_another_machine_is_respected(tmp_path, quick, changes):
    """The system's lock says nothing of it."""
    other = record(tmp_path, **changes)
    with beating(tmp_path):
        assert f"in use by {other}" in refused(tmp_path)


@pytest.mark.parametrize("changes", [ELSEWHERE, TWIN])
def test_a_holder_on_another_machine_that_gives_no_sign_is_dead(tmp_path, quick, changes):
    record(tmp_path, **changes)
    start = time.monotonic()
    with hold_folder(tmp_path, "asr-hf align"):
        assert time.monotonic() - start >= 1.0
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()


def test_a_holder_on_another_machine_that_ends_meanwhile_makes_way(tmp_path, quick):
    record(tmp_path, **ELSEWHERE)
    threading.Timer(0.2, (tmp_path / ".lock").write_text, [""]).start()
    with hold_folder(tmp_path, "asr-hf align"):
        pass


def test_a_clock_that_is_wrong_elsewhere_does_not_matter(tmp_path, quick):
    record(tmp_path, **ELSEWHERE)
    os.utime(tmp_path / ".lock", (4e9, 4e9))
    with hold_folder(tmp_path, "asr-hf align"):
        pass


@pytest.fixture
def no_locks(monkeypatch, quick):
    """A file system that has none."""
    monkeypatch.setattr(lock, "_flock", lambda opened: None)


def test_without_locks_of_the_system_a_living_process_is_respected(tmp_path, no_locks):
    record(tmp_path)
    assert "in use by" in refused(tmp_path)


@pytest.mark.parametrize("changes", [{"pid": 2**22 - 1}, {"started": "1"}])
def test_without_locks_of_the_system_a_dead_process_is_told_from_one_of_its_number(
    tmp_path, no_locks, changes
):
    record(tmp_path, **changes)
    with hold_folder(tmp_path, "asr-hf align"):
        pass


def test_without_locks_of_the_system_another_container_is_watched(tmp_path, no_locks):
    record(tmp_path, namespace="pid:[1]")
    with beating(tmp_path):
        assert "in use by" in refused(tmp_path)
    with hold_folder(tmp_path, "asr-hf align"):
        pass


@pytest.mark.parametrize(
    "text", ["", "process 12 on a\n", "{", "[]", '{"pid": "12"}', "\0" * 50, "{}" * 4000]
)
def test_a_damaged_record_of_nobody_is_taken_over(tmp_path, text):
    (tmp_path / ".lock").write_text(text)
    with hold_folder(tmp_path, "asr-hf align"):
        pass


def test_a_link_in_the_place_of_the_file_is_refused(tmp_path):
    (precious := tmp_path / "precious").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(precious)
    with pytest.raises(InputError, match="symbolic link"), hold_folder(tmp_path / "run", "x"):
        pass
    assert precious.read_text() == "mine"


def test_what_a_killed_holder_left_is_cleared_away(tmp_path):
    (tmp_path / "set").mkdir()
    left = [tmp_path / ".a.0123456789abcdef.tmp", tmp_path / "set" / ".b.0123456789abcdef.tmp"]
    left[0].write_text("half")
    left[1].mkdir()
    with hold_folder(tmp_path, "asr-hf align"):
        assert not any(path.exists() for path in left)


def test_other_folders_are_free(tmp_path):
    with holder(tmp_path / "a"), hold_folder(tmp_path / "b", "asr-hf decode"):
        pass


CROWD = """
import sys
from pathlib import Path
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.lock import hold_folder
folder, done = Path(sys.argv[1]), 0
while done < 40:
    try:
        with hold_folder(folder, "x"):
            number = int((folder / "count").read_text())
            assert not (folder / "busy").exists()
            (folder / "busy").touch()
            (folder / "count").write_text(str(number + 1))
            (folder / "busy").unlink()
            done += 1
    except InputError:
        pass
"""


def test_a_crowd_takes_turns(tmp_path):
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", CROWD, str(tmp_path)]
    crowd = [subprocess.Popen(command) for _ in range(4)]
    assert [one.wait() for one in crowd] == [0] * 4
    assert (tmp_path / "count").read_text() == "160"


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare")
def test_a_container_with_the_same_numbers_is_seen(tmp_path):
    """In another namespace of processes, where the holder's number says nothing."""
    script = HOLD.replace("sys.stdin.read()", "pass")
    command = ["unshare", "--fork", "--pid", "--mount-proc", sys.executable, "-c", script]
    if subprocess.run(["unshare", "--fork", "--pid", "true"], check=False).returncode:
        pytest.skip("no namespaces here")
    with hold_folder(tmp_path, "asr-hf align"):
        done = subprocess.run(
            [*command, str(tmp_path)], capture_output=True, text=True, check=False
        )
        assert "in use by process" in done.stderr
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout == "held\n", done.stderr
