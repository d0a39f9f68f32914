"""Several processes: results in order, a bounded number of them waiting, deaths reported."""

from __future__ import annotations

import os
import time

import pytest

from asr_hf.data.processes import in_order
from asr_hf.runtime.errors import RunError


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_results_come_in_order(jobs):
    with in_order(abs, range(-50, 50), jobs, "numbers") as results:
        assert list(results) == [abs(n) for n in range(-50, 50)]


def test_processes_do_not_run_away_from_whoever_takes_the_results(tmp_path):
    folders = [tmp_path / str(number) for number in range(100)]
    with in_order(os.mkdir, folders, 2, "folders") as results:
        next(results)
        time.sleep(0.5)
        assert 1 <= len(list(tmp_path.iterdir())) <= 9
        assert len(list(results)) == 99
    assert all(folder.is_dir() for folder in folders)


def test_errors_in_a_process_arrive_and_what_waits_is_not_begun(tmp_path):
    (tmp_path / "0").mkdir()
    folders = [tmp_path / str(number) for number in range(100)]
    with pytest.raises(FileExistsError), in_order(os.mkdir, folders, 2, "folders") as results:
        list(results)
    assert len(list(tmp_path.iterdir())) < 10


def test_a_process_that_dies_is_reported():
    with (
        pytest.raises(RunError, match="features of train: a process died"),
        in_order(os._exit, [3], 2, "features of train") as results,
    ):
        list(results)
