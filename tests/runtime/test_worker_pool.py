"""A team of processes: results in order, a bounded number waiting, states of their own, deaths."""

from __future__ import annotations

import copy
import operator
import os
import shutil
import time
from pathlib import Path

import pytest

from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.files import read_json
from asr_hf.runtime.worker_pool import worker_pool
from asr_hf.runtime.workers import Task

# Tasks of functions that a fresh process finds: what it is sent is what it works with, or a list.
AS_IT_IS = Task("as it is", copy.copy)
A_LIST = Task("a list", list)
READING = Task("reading", read_json)


@pytest.fixture
def copier(tmp_path):
    """A file that copies are made of, and an empty folder for them."""
    (tmp_path / "file").write_text("text")
    (tmp_path / "copies").mkdir()
    return tmp_path / "file", tmp_path / "copies"


def numbered(folder: Path) -> list[Path]:
    return [folder / str(number) for number in range(100)]


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_results_come_in_order(jobs):
    with worker_pool(AS_IT_IS, 7, jobs, "numbers") as workers:
        assert list(workers.map(operator.add, range(-50, 50))) == [7 + n for n in range(-50, 50)]


@pytest.mark.parametrize("jobs", [1, 3])
def test_each_keeps_a_state_of_its_own(jobs):
    with worker_pool(A_LIST, (), jobs, "numbers") as workers:
        workers.each(list.append, range(workers.size))
        workers.each(list.append, [5] * workers.size)
        every = [slice(None)] * workers.size
        assert workers.each(operator.getitem, every) == [[k, 5] for k in range(jobs)]


def test_alone_nothing_is_done_before_it_is_asked_for(copier):
    file, folder = copier
    with worker_pool(AS_IT_IS, file, 1, "copies") as workers:
        next(workers.map(shutil.copyfile, numbered(folder)))
        assert len(list(folder.iterdir())) == 1


def test_processes_do_not_run_away_from_whoever_takes_the_results(copier):
    file, folder = copier
    with worker_pool(AS_IT_IS, file, 2, "copies") as workers:
        results = workers.map(shutil.copyfile, numbered(folder))
        next(results)
        time.sleep(0.5)
        assert 1 <= len(list(folder.iterdir())) <= 9
        assert len(list(results)) == 99
    assert len(list(folder.iterdir())) == 100


def test_errors_in_a_process_arrive_and_what_waits_is_not_begun(copier):
    file, folder = copier
    (folder / "0").mkdir()
    with pytest.raises(IsADirectoryError), worker_pool(AS_IT_IS, file, 2, "copies") as workers:
        list(workers.map(shutil.copyfile, numbered(folder)))
    assert len(list(folder.iterdir())) < 10


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_in_making_the_state_is_the_one_told(tmp_path, jobs):
    missing = tmp_path / "hmm.json"
    with (
        pytest.raises(InputError, match=r"hmm\.json"),
        worker_pool(READING, missing, jobs, "graphs") as workers,
    ):
        list(workers.map(operator.getitem, [3]))


def test_who_is_waited_for_long_is_named(monkeypatch, caplog):
    monkeypatch.setattr("asr_hf.runtime.worker_pool._LONG", 0.2)
    with worker_pool(AS_IT_IS, time.sleep, 2, "graphs") as workers:
        workers.each(operator.call, [0.0, 1.5])
    assert "graphs: waiting for process 1" in caplog.text


def test_a_process_that_dies_is_reported():
    with (
        pytest.raises(RunError, match="features of train: a process died"),
        worker_pool(AS_IT_IS, os._exit, 2, "features of train") as workers,
    ):
        list(workers.map(operator.call, [3]))
