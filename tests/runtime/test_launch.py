"""Processes that are started together, and end together."""

from __future__ import annotations

import sys

import pytest

from asr_hf.runtime.errors import RunError
from asr_hf.runtime.launch import run_processes


def test_processes_learn_their_places_and_share_the_cores(tmp_path):
    script = (
        "import os, pathlib; e = os.environ; "
        "pathlib.Path(e['OUT'], e['RANK']).write_text(e['WORLD_SIZE'] + e['LOCAL_RANK'])"
    )
    run_processes([sys.executable, "-c", script], 3, {"OUT": str(tmp_path)})
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"0": "30", "1": "31", "2": "32"}


def test_the_first_bad_exit_ends_all_processes():
    script = "import os, sys, time; os.environ['RANK'] == '1' and sys.exit(7); time.sleep(600)"
    with pytest.raises(SystemExit) as left:
        run_processes([sys.executable, "-c", script], 2, {})
    assert left.value.code == 7


def test_a_killed_process_is_named():
    script = "import os, signal, time\nif os.environ['RANK'] == '1': os.kill(os.getpid(), 9)\n"
    with pytest.raises(RunError, match=r"rank 1 \(process \d+\) was killed by SIGKILL"):
        run_processes([sys.executable, "-c", script], 2, {})
