"""What ranks do when something goes wrong, without starting processes."""

from __future__ import annotations

import threading

import pytest
import torch.distributed as dist

from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.failures import FailureBoard


@pytest.fixture
def boards(tmp_path):
    return [
        FailureBoard(dist.FileStore(str(tmp_path / "store"), 3), rank, 3, grace=0.2)
        for rank in range(3)
    ]


def test_the_first_error_is_told_with_its_rank_and_the_others_leave_with_its_code(boards):
    with pytest.raises(InputError, match="rank 1: x") as told, boards[1].reporting():
        raise InputError("x.scp: missing", remedy="make it")
    assert told.value.remedy == "make it"
    with pytest.raises(SystemExit) as left, boards[0].reporting():
        raise RunError("rank 1 has gone")
    assert left.value.code == InputError.exit_code


def test_a_bug_is_told_as_it_is(boards):
    with pytest.raises(KeyError), boards[0].reporting():
        raise KeyError("x")
    assert boards[2].code == 1


def test_ranks_that_do_not_answer_are_named(boards):
    found = []
    thread = threading.Thread(target=lambda: found.append(boards[2].silent()))
    thread.start()
    assert boards[0].silent() == [1]
    thread.join()
    assert found == [[1]]


def test_nobody_is_accused_when_a_failure_was_told(boards):
    boards[1].claim(1)
    assert boards[0].silent() == []
