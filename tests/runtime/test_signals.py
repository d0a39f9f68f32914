"""Signals at any moment of any verb: the exit code, the message, and no process left behind."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_hf.cli.main import VERBS
from asr_hf.runtime import interruption
from asr_hf.runtime.children import run_command
from asr_hf.runtime.interruption import SIGNALS, Interrupted, Interruption
from asr_hf.runtime.workers import ProcessWorker

MARK = "ASR_HF_TEST_MARK"
FEATURES = ["features", "+recipe=prompts", "corpus.sets=[train]", "features.allow_pipes=true"]


@pytest.fixture
def mark(monkeypatch) -> Iterator[str]:
    """What all processes of a test have in their environment; none is left after it."""
    text = f"{os.getpid()}-{random.random()}"
    monkeypatch.setenv(MARK, text)
    yield text
    for pid in marked(text):
        os.kill(pid, signal.SIGKILL)


def marked(mark: str) -> list[int]:
    """Processes that have a mark and are not this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "environ").read_bytes()
            dead = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in text and not dead and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def none_left(mark: str) -> bool:
    end = time.monotonic() + 10
    while marked(mark) and time.monotonic() < end:
        time.sleep(0.05)
    return not marked(mark)


def start(*arguments: str, **options: object) -> subprocess.Popen[str]:
    """A command that takes signals already."""
    process = subprocess.Popen(
        [sys.executable, "-m", "asr_hf", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    while process.poll() is None and not takes(process.pid):
        time.sleep(0.002)
    return process


def takes(pid: int, number: int = signal.SIGTERM) -> bool:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def said_well(code: int, err: str, number: signal.Signals) -> None:
    assert code == 75, err
    assert err.count("asr-hf: error:") == 1 and f"stopped by {number.name}" in err
    assert "the same command continues" in err
    assert "Traceback" not in err and "Exception ignored" not in err


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_is_still_loading_ends_as_it_should(verb, mark, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = random.Random(verb)
    number = draw.choice(SIGNALS)
    more = {"export": ["nnet1"], "completion": ["bash"], "info": [], "validate": ["."]}
    process = start(verb, *more.get(verb, ["+recipe=prompts"]))
    time.sleep(draw.choice([0.0, 0.02, 0.1, 0.4]))
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    # It may have ended, or refused, before.
    if process.returncode not in (0, 2):
        said_well(process.returncode, err, number)
    assert none_left(mark)


@pytest.fixture
def waiting(tmp_path, monkeypatch) -> Path:
    """Recordings whose commands wait for the file `gate`; `begun` counts those that wait."""
    folder = tmp_path / "data" / "prompts" / "train"
    folder.mkdir(parents=True)
    draw, names, lines = np.random.default_rng(0), [f"u{n}" for n in range(4)], []
    (tmp_path / "begun").mkdir()
    for name in names:
        wav = tmp_path / f"{name}.wav"
        soundfile.write(wav, 0.1 * draw.normal(size=8000), 8000)
        loop = f"until [ -e {tmp_path}/gate ]; do sleep 0.05; done"
        # A pipeline of several programs, as those of corpora are.
        lines.append(f"{name} touch {tmp_path}/begun/{name}; ({loop}; cat {wav}) | cat |\n")
    (folder / "wav.scp").write_text("".join(lines))
    (folder / "utt2spk").write_text("".join(f"{name} {name}\n" for name in names))
    (folder / "text").write_text("".join(f"{name} yes\n" for name in names))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wait_for(begun: Path, count: int) -> None:
    end = time.monotonic() + 60
    while len(list(begun.iterdir())) < count:
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "jobs"),
    [(signal.SIGTERM, 1), (signal.SIGUSR1, 2), (signal.SIGINT, 2), (signal.SIGKILL, 2)],
)
def test_neither_workers_nor_their_commands_are_left(waiting, mark, number, jobs):
    process = start(*FEATURES, f"features.jobs={jobs}")
    wait_for(waiting / "begun", jobs)
    assert len(marked(mark)) >= 3
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    if number in SIGNALS:
        said_well(process.returncode, err, number)
    elif number == signal.SIGINT:
        assert process.returncode == 130 and "Traceback" not in err
    else:
        assert process.returncode == -number
    assert none_left(mark)
    # The same command continues.
    (waiting / "gate").touch()
    again = start(*FEATURES, f"features.jobs={jobs}")
    assert again.communicate(timeout=60) and again.returncode == 0
    rubbish = [p for p in (waiting / "data").rglob(".*") if p.name != ".lock"]
    assert not rubbish


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_is_told_once(waiting, mark, number):
    """As terminals and schedulers send them: to workers and commands as well."""
    process = start(*FEATURES, "features.jobs=2", start_new_session=True)
    wait_for(waiting / "begun", 2)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == (130 if number == signal.SIGINT else 75), err
    assert err.count("asr-hf:") == 1 and "Traceback" not in err and "Error" not in err
    assert none_left(mark)


def test_a_signal_to_a_rank_that_helps_ends_all_of_them(waiting, mark):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    placed = {"WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [
        start(*FEATURES, env=os.environ | placed | {"RANK": str(number)}) for number in range(3)
    ]
    wait_for(waiting / "begun", 2)
    ranks[1].send_signal(signal.SIGUSR1)
    errors = [rank.communicate(timeout=60)[1] for rank in ranks]
    assert ranks[0].returncode == ranks[1].returncode == 75, errors
    assert "".join(errors).count("stopped by SIGUSR1") == 1
    assert "Traceback" not in "".join(errors)
    assert none_left(mark)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGTERM, Interrupted), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_that_something_swallows_comes_again(number, error, monkeypatch):
    monkeypatch.setattr(interruption, "_REPEAT_SECONDS", 0.2)
    with pytest.raises(error), Interruption():
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except BaseException:
            pass
        time.sleep(20)


def test_a_program_keeps_its_own_handler_of_ctrl_c():
    taken = []
    before = signal.signal(signal.SIGINT, lambda number, frame: taken.append(number))
    try:
        with Interruption():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
    finally:
        signal.signal(signal.SIGINT, before)
    assert taken == [signal.SIGINT]


def test_handlers_of_errors_do_not_take_a_signal_for_one():
    with pytest.raises(Interrupted), Interruption():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except Exception:
            raise AssertionError from None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_was_there_is_there_again(number):
    touched = (*SIGNALS, signal.SIGINT, signal.SIGALRM)
    before = [signal.getsignal(one) for one in touched]
    with pytest.raises((Interrupted, KeyboardInterrupt)), Interruption():
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert [signal.getsignal(one) for one in touched] == before
    assert signal.getitimer(signal.ITIMER_REAL)[1] == 0


SWALLOWED = """
import os, signal, sys, time
from asr_hf.cli import main as command

class Odd:
    def __del__(self):
        os.kill(os.getpid(), signal.NUMBER)
        time.sleep(0.01)

def run(arguments):
    del_me = Odd()
    del del_me
    time.sleep(30)

import asr_hf.cli.info as info
info.run = run
sys.argv = ["asr-hf", "info"]
sys.exit(command.main())
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_where_python_cannot_raise_nothing_is_printed(name, mark):
    script = SWALLOWED.replace("NUMBER", name)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    if name == "SIGTERM":
        said_well(done.returncode, done.stderr, signal.SIGTERM)
    else:
        said = "asr-hf: interrupted; the same command continues\n"
        assert (done.returncode, done.stderr) == (130, said)


AT_THE_END = """
import os, signal, sys, threading, time
from asr_hf.cli import main as command

refused = threading.Event()

def late():
    refused.wait()
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.3)

threading.Thread(target=late).start()
sys.argv = ["asr-hf", "decode", "what=ever"]
code = command.main()
refused.set()
sys.exit(code)
"""


def test_a_signal_after_a_refusal_prints_no_traceback(mark):
    """Python waits for a thread then, and says that it ignores an exception in `threading`."""
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_a_command_gives_what_it_prints():
    done = run_command(["sh", "-c", "printf out; printf err >&2; exit 3"])
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out", b"err")


def test_a_worker_that_starts_is_ended_with_its_parent(mark):
    """Before it has set anything up."""
    script = (
        "import os, signal; from asr_hf.runtime.workers import ProcessWorker\n"
        "workers = [ProcessWorker(n) for n in range(3)]\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    assert none_left(mark)


def test_a_killed_worker_waits_for_nothing():
    worker = ProcessWorker(0)
    worker.kill()
    start_at = time.monotonic()
    worker.stop()
    worker.end()
    assert time.monotonic() - start_at < 5
