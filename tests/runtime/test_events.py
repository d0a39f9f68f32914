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
@given(kept=st.integers(-1, 6), torn=st.integers(0, 30))
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
    log.truncate_after(count)
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
        log.truncate_after(0)
    assert threading.active_count() == threads
