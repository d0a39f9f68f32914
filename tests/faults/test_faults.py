"""The suite of faults in its quick form, and that it would notice a loss."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.faults import damage
from scripts.faults.case import RUN, Case, Lost, Reference
from scripts.faults.child import Outcome
from scripts.faults.suite import Report, table

ROOT = Path(__file__).resolve().parents[2]
# One of each group: kill -9, full disk, read-only folder, checkpoints, store, archive, clock, lock,
# other labels, features and lattices, a damaged artefact, a rank with other data.
QUICK = "1,6,8,9,11,13,16,17,18,20,21,23,24"


# The suite, whose commands do not wait for the disk: kill -9 takes nothing from the system.
SUITE = """
from scripts.faults.__main__ import main
from tests import unsynced

unsynced.use()
raise SystemExit(main())
"""


def test_none_of_these_faults_loses_anything():
    """In a process of its own, because it forks before torch has threads."""
    command = [sys.executable, "-c", SUITE, "--only", QUICK]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    total = done.stdout.splitlines()[-1]
    assert total.startswith("| all | 13 |") and "| 0 | 0 |" in total


@pytest.fixture
def case(tmp_path) -> Case:
    """A case whose reference is a model of five bytes."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    reference = Reference(corpus, b"model", [{"iteration": 0}], 1.0, 10, 100)
    made = Case(tmp_path / "case", reference, random.Random(0))
    run = made.exp / RUN
    run.mkdir()
    (run / "model.safetensors").write_bytes(b"model")
    (run / "events.jsonl").write_text('{"iteration": 0, "seconds": 2.5}\n')
    (run / "result.json").write_text('{"iterations": 5}')
    return made


def test_a_run_that_ended_as_it_should_is_accepted(case):
    case.check_same()


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("model.safetensors", "modem", "model is another"),
        ("events.jsonl", '{"iteration": 0}\n{"iteration": 1}\n', "events are others"),
        ("result.json", '{"iterations": 4}', "4 iterations"),
        (".step.12.tmp", "", "rubbish"),
    ],
)
def test_a_run_that_ended_otherwise_is_lost(case, file, content, complaint):
    (case.run / file).write_text(content)
    with pytest.raises(Lost, match=complaint):
        case.check_same()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (2, "asr-hf: error: FOLDER/x: cannot be read\n  remedy:   make it again"),
        (1, "12:00:00 working\nasr-hf: error: FOLDER/x: cannot be written"),
    ],
)
def test_a_clear_error_is_accepted(case, code, said):
    case.check_refused(Outcome(code, said.replace("FOLDER", str(case.folder))))
    assert case.refused == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "asr-hf: error: FOLDER/x: cannot be read"),
        (99, "asr-hf: error: FOLDER/x: cannot be read"),
        (-9, ""),
        (None, "asr-hf: error: FOLDER/x: cannot be read"),
        (1, "Traceback (most recent call last):\nasr-hf: error: FOLDER/x: cannot be read"),
        (1, "asr-hf: error: KeyError: FOLDER\n  remedy:   --debug shows where it happened"),
        (1, "asr-hf: error: something is wrong"),
    ],
)
def test_an_unclear_end_is_lost(case, code, said):
    with pytest.raises(Lost):
        case.check_refused(Outcome(code, said.replace("FOLDER", str(case.folder))))


def test_damage_is_done_and_put_back(tmp_path):
    path, draw = tmp_path / "a.bin", random.Random(3)
    path.write_bytes(bytes(range(100)))
    kept = damage.Keepsake(tmp_path)
    for harm in (damage.flip, damage.truncate, damage.remove):
        harm(kept.pick(draw), draw)
        assert not path.exists() or path.read_bytes() != bytes(range(100))
        kept.put_back()
        assert path.read_bytes() == bytes(range(100))


def test_the_table_counts_what_was_lost_and_what_was_impossible():
    reports = [
        Report(0, "a", [], False, "", "", 1.0),
        Report(1, "a", [], True, "", "", 1.0),
        Report(2, "a", [], False, "", "the model", 1.0),
        Report(3, "b", [], False, "not root", "", 1.0),
    ]
    rows = table(reports).splitlines()
    assert rows[2:] == ["| a | 3 | 1 | 1 | 0 | 1 | 3 |", "| b | 0 | 0 | 0 | 1 | 0 | 1 |",
                        "| all | 3 | 1 | 1 | 1 | 1 | 4 |"]  # fmt: skip
