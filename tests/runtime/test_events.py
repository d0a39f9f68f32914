from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.events import FILE_NAME, EventLog, read_events


def write(folder, iterations, **more):
    log = EventLog(folder, tensorboard=False)
    for iteration in iterations:
        log.append({"iteration": iteration, "loss": iteration / 3, **more})
    log.close()
    return folder / FILE_NAME


def test_events_come_back_as_written(tmp_path):
    event = {"iteration": 3, "λ": 0.1, "reason": "línea\nnueva", "frames": {"train": 7}, "x": None}
    log = EventLog(tmp_path, tensorboard=False)
    log.append(event)
    log.close()
    assert read_events(tmp_path / FILE_NAME) == [event]


def test_each_event_is_on_disk_when_append_returns(tmp_path):
    log = EventLog(tmp_path, tensorboard=False)
    for iteration in range(3):
        log.append({"iteration": iteration})
        assert len(read_events(tmp_path / FILE_NAME)) == iteration + 1
    log.close()


@settings(max_examples=40)
@given(kept=st.integers(-1, 5), torn=st.integers(0, 30))
def test_a_resumed_log_is_the_log_of_an_unbroken_run(kept, torn, tmp_path_factory):
    """Events after the checkpoint and a line torn anywhere are gone, and written again."""
    folder = tmp_path_factory.mktemp("run")
    path = write(folder, range(6))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:torn].rstrip(b"\n"))
    log = EventLog(folder, tensorboard=False)
    log.truncate_after(kept)
    log.close()
    write(folder, range(kept + 1, 6))
    assert path.read_bytes() == whole


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    path = write(tmp_path, range(3))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-4], lines[2], ""]))
    with pytest.raises(InputError, match=f"{FILE_NAME}:2"):
        read_events(path)


def changed(path: Path, change) -> None:
    path.write_bytes(b"\n".join(change(path.read_bytes().split(b"\n"))))


HOLES = {
    "a line is missing": lambda lines: lines[:2] + lines[3:],
    "a line is double": lambda lines: lines[:3] + lines[2:],
    "lines are swapped": lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
    "NUL bytes before a line": lambda lines: [*lines[:2], bytes(40) + lines[2], *lines[3:]],
    "NUL bytes for a line": lambda lines: [*lines[:2], bytes(len(lines[2])), *lines[3:]],
    "NUL bytes over the end of a line": lambda lines: [*lines[:2], bytes(40), *lines[3:]],
    "two lines in one": lambda lines: [*lines[:2], lines[2] + lines[3], *lines[4:]],
}


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_is_named_with_its_line(tmp_path, hole):
    path = write(tmp_path, range(6))
    changed(path, HOLES[hole])
    with pytest.raises(InputError, match=rf"{FILE_NAME}:[34]:"):
        read_events(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=FILE_NAME):
        EventLog(tmp_path, tensorboard=False).truncate_after(4)
    assert path.read_bytes() == before


@pytest.mark.parametrize("rubbish", [bytes(4096), b'{"iteration": 6, "lo' + bytes(100), b"\xc3"])
def test_what_a_power_cut_leaves_at_the_end_is_left_out(tmp_path, rubbish):
    path = write(tmp_path, range(6))
    whole = path.read_bytes()
    path.write_bytes(whole + rubbish)
    assert len(read_events(path)) == 6
    log = EventLog(tmp_path, tensorboard=False)
    log.truncate_after(5)
    log.close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize(("there", "wanted", "missing"), [(3, 4, 3), (0, 0, 0), (2, 5, 2)])
def test_events_before_a_checkpoint_that_are_missing_are_not_gone_on_without(
    tmp_path, there, wanted, missing
):
    write(tmp_path, range(there))
    with pytest.raises(InputError, match=f"event of iteration {missing} is missing"):
        EventLog(tmp_path, tensorboard=False).truncate_after(wanted)


def test_a_file_that_does_not_begin_at_the_beginning_is_not_gone_on_with(tmp_path):
    write(tmp_path, range(2, 6))
    with pytest.raises(InputError, match="event of iteration 0 is missing"):
        EventLog(tmp_path, tensorboard=False).truncate_after(5)


def test_the_name_of_a_new_file_is_flushed(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("asr_hf.runtime.events.sync_folder", synced.append)
    write(tmp_path, range(3))
    write(tmp_path, range(3, 5))
    assert synced == [tmp_path]


FULL_DISK = """
import sys
import threading
from pathlib import Path
from asr_hf.runtime.errors import RunError
from asr_hf.runtime.events import EventLog
log = EventLog(Path(sys.argv[1]), tensorboard=False)
try:
    for iteration in range(100):
        log.append({"iteration": iteration, "padding": "x" * 50})
except RunError as error:
    log.close()
    print(error)
    sys.exit(7)
"""


def test_on_a_full_disk_the_run_stops_and_the_log_can_be_continued(tmp_path):
    """The limit on the file's size cuts a line in two, as a full disk does."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        preexec_fn=_limit_files_to_1000_bytes,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert FILE_NAME in done.stdout
    path = tmp_path / FILE_NAME
    count = len(read_events(path))
    assert path.stat().st_size == 1000 and count > 5
    log = EventLog(tmp_path, tensorboard=False)
    log.truncate_after(count - 1)
    log.append({"iteration": count})
    log.close()
    assert [e["iteration"] for e in read_events(path)] == list(range(count + 1))


def _limit_files_to_1000_bytes():
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def test_a_folder_that_is_gone_is_reported(tmp_path):
    log = EventLog(tmp_path / "gone", tensorboard=False)
    with pytest.raises(RunError, match="gone"):
        log.append({"iteration": 0})


def test_tensorboard_holds_the_numbers_under_their_names(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def run(first, last):
        log = EventLog(tmp_path)
        log.truncate_after(first - 1)
        for iteration in range(first, last):
            log.append({"iteration": iteration, "loss": float(first + iteration), "f": {"a": 1}})
        log.close()

    run(0, 5)
    # Files are read in the order of their names: by second, then by a number without padding.
    time.sleep(1.1)
    run(3, 6)
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert {"loss", "f/a"} <= set(board.Tags()["scalars"])
    # From iteration 3 on, the values of the resumed run have taken the place of the first's.
    assert {e.step: e.value for e in board.Scalars("loss")} == {
        0: 0.0, 1: 1.0, 2: 2.0, 3: 6.0, 4: 7.0, 5: 8.0,
    }  # fmt: skip


def test_events_are_strict_one_line_objects(tmp_path):
    path = write(tmp_path, range(4), note="a\nb\u2028c")
    raw = Path(path).read_bytes()
    assert raw.count(b"\n") == 4
    assert all(json.loads(line)["note"] == "a\nb\u2028c" for line in raw.split(b"\n")[:-1])


def test_a_tensorboard_folder_that_cannot_be_written_is_refused_before_a_thread_starts(
    tmp_path, monkeypatch
):
    (tmp_path / "tensorboard").mkdir()
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "tensorboard" and allowed(path, mode)
    )
    threads = threading.active_count()
    log = EventLog(tmp_path)
    with pytest.raises(RunError, match="tensorboard: cannot be written: Permission denied"):
        log.truncate_after(-1)
    assert threading.active_count() == threads
