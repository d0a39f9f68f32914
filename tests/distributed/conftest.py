"""Toy stores, and processes that train on them together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ..once import once
from ..toy_store import write_clusters

PDFS, DIM = 5, 4
CASES = ("lbfgs", "kfac", "variance", "fisher", "smbr", "batch", "constrained", "baseline")
BY_TWO = ("kfac", "smbr")
# With vectors divided among three ranks, unequally, in all iterations or some.
DIVIDED = (
    *("lbfgs-sharded", "kfac-sharded", "variance-sharded", "smbr-sharded", "fisher-sharded"),
    *("batch-sharded", "constrained-sharded", "lbfgs-changing", "kfac-changing"),
)
# The cases that each number of ranks trains.
CASES_OF = {1: CASES, 2: BY_TWO, 3: (*CASES, *DIVIDED)}


def make_store(folder: Path, seed: int, utterances: int = 20) -> None:
    """Write a store of utterances of very unequal lengths whose frames cluster by pdf."""
    random = np.random.default_rng(seed)
    lengths = random.integers(3, 30, utterances)
    lengths[0] = 90
    write_clusters(folder, random, lengths, PDFS, DIM)


@pytest.fixture
def write_store():
    return make_store


def train_all(folder: Path) -> None:
    """Train the cases of every number of processes."""
    for seed, part in enumerate(("train", "heldout")):
        make_store(folder / part, seed)
    script = str(Path(__file__).parent / "worker.py")
    chosen = [f"{count}:{','.join(cases)}" for count, cases in CASES_OF.items()]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(
            [sys.executable, script, str(folder), str(rank), *chosen],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(max(CASES_OF))
    ]
    try:
        for worker in workers:
            _, err = worker.communicate(timeout=280)
            assert worker.returncode == 0, err
    finally:
        for worker in workers:
            worker.kill()


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The cases trained by every number of processes: {(case, count): what worker.py found}.

    Under "hang" is what rank 0 said when rank 1 did not answer.
    """
    folder = once(tmp_path_factory, "ranks", train_all)
    found = {
        (case, count): json.loads((folder / f"{case}-{count}.json").read_text())
        for count, cases in CASES_OF.items()
        for case in cases
    }
    return found | {"hang": (folder / "hang.txt").read_text()}
