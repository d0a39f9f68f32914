"""What ranks do when something goes wrong, without starting processes."""

from __future__ import annotations

import signal
import sys
import threading

import numpy as np
import pytest
import torch
import torch.distributed as dist

from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.failures import FailureBoard
from asr_hf.runtime.interruption import SIGNALS, Interrupted, Interruption
from asr_hf.runtime.launch import run_processes
from asr_hf.runtime.process_group import ProcessGroup
from asr_hf.training.distributed.replica_consistency import check_in_step, checksums


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


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_outside_of_training_ends_at_once(number):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=signal.Signals(number).name), Interruption():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_in_training_the_first_signal_waits_and_the_second_does_not():
    with Interruption() as interruption:
        with pytest.raises(Interrupted), interruption.deferred():
            signal.raise_signal(signal.SIGUSR1)
            assert interruption.noted == "SIGUSR1"
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)


class Told(ProcessGroup):
    """Ranks of which the others' checksums are made up."""

    others: list[list[int]]

    def gather(self, values):
        return torch.tensor([values.tolist(), *self.others])


def state(theta, **values):
    return {"tensors": {"theta": theta, "pairs": torch.ones(2, 3)}, "values": values}


def test_ranks_out_of_step_are_named():
    here = state(torch.arange(5.0), losses=[1.5, float("nan")])
    same, ranks = checksums(here), Told(0, 3)
    ranks.others = [same, same]
    check_in_step(ranks, 7, here)
    ranks.others = [same, [same[0], same[1] + 1]]
    with pytest.raises(RunError, match=r"iteration 7: rank 2 and rank 0 .* optimiser's state"):
        check_in_step(ranks, 7, here)
    ranks.others = [[same[0] + 1, 0], same]
    with pytest.raises(RunError, match=r"rank 1 and rank 0 .* parameters"):
        check_in_step(ranks, 7, here)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_one_bit_changes_the_checksums(dtype):
    theta = torch.randn(1000, generator=torch.Generator().manual_seed(0)).to(dtype)
    before = checksums(state(theta, value=1.0))
    words = theta.view({8: torch.int64, 4: torch.int32, 2: torch.int16}[theta.element_size()])
    words[123] ^= 1
    after = checksums(state(theta, value=1.0))
    assert before[0] != after[0] and before[1] != after[1]
    assert checksums(state(theta, value=np.nextafter(1.0, 2.0)))[1] != after[1]


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
