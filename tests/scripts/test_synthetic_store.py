"""The synthetic corpus, and that work on it holds no more than a block of it."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_hf.data.store import FrameStore

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "synthetic_store.py"
write_store = runpy.run_path(str(SCRIPT))["write_store"]


@pytest.fixture(scope="module")
def one_hour(tmp_path_factory) -> FrameStore:
    folder = tmp_path_factory.mktemp("synthetic") / "train"
    write_store(folder, frames=360_000, pdfs=50, dim=40, seed=0)
    return FrameStore.open(folder)


def test_its_utterances_last_2_to_15_seconds_and_add_up(one_hour):
    lengths = np.diff(one_hour.offsets)
    assert lengths.min() >= 200 and lengths.max() <= 1500
    assert one_hour.num_frames == pytest.approx(360_000, abs=1500 * 10)
    assert len(set(one_hour.utterances)) == one_hour.num_units
    assert (one_hour.label_counts() > 0).all()


def test_the_seed_fixes_every_bit(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_store(tmp_path / name, frames=3000, pdfs=5, dim=4, seed=seed)
    same, other = ((tmp_path / name / "frames.bin").read_bytes() for name in "bc")
    assert (tmp_path / "a" / "frames.bin").read_bytes() == same != other


def test_labels_can_be_told_from_frames(one_hour, tmp_path):
    """By the nearest mean of the same labels in another set: sets share their centres."""
    write_store(tmp_path / "dev", frames=5000, pdfs=50, dim=40, seed=1)
    cpu = torch.device("cpu")
    train = one_hour.gather(np.arange(60), cpu)
    dev = FrameStore.open(tmp_path / "dev").gather(np.arange(3), cpu)
    means = torch.stack([train.features[train.labels == pdf].float().mean(0) for pdf in range(50)])
    nearest = torch.cdist(dev.features.float(), means).argmin(1)
    assert (nearest == dev.labels).float().mean() > 0.9


WORK = """
import json, sys, threading, time
import numpy as np, torch
from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.data.store import FrameStore
from asr_hf.hf.objective import Split, Sample
from asr_hf.models.dnn import DNN
from asr_hf.runtime.allocator import return_large_blocks
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.planning.memory import held_now

return_large_blocks()
torch.set_num_threads(1)
cpu = torch.device("cpu")
model = DNN(feature_dim=40, num_pdfs=50, hidden_sizes=[8], left=0, right=0, seed=0)
theta = model.flat.detach().clone()

def work(store, block_frames):
    objective = FrameObjective(model, CrossEntropy(), {p: store for p in Split}, 4096,
                               block_frames=block_frames)
    for minibatch in objective.minibatches(0, 0, 1024):
        objective.minibatch_gradient(theta, minibatch)
    everything = Sample(Split.TRAIN, np.arange(store.num_units))
    objective.gradient(theta, everything)
    objective.curvature(theta, Sample(Split.TRAIN, np.arange(8))).product(theta)
    store.label_counts()

work(FrameStore.open(sys.argv[2]), 4096)
base, peak = held_now(cpu), [0]
def watch():
    while True:
        peak[0] = max(peak[0], held_now(cpu))
        time.sleep(0.001)
threading.Thread(target=watch, daemon=True).start()
work(FrameStore.open(sys.argv[1]), int(sys.argv[3]))
print(json.dumps(peak[0] - base))
"""


def test_work_on_an_hour_holds_a_block_of_it(one_hour, tmp_path):
    """Anonymous memory of an epoch, a gradient and a product, beyond that on a small store."""
    write_store(tmp_path / "small", frames=20_000, pdfs=50, dim=40, seed=0)

    def grown(block_frames: int) -> int:
        folders = [str(one_hour.folder), str(tmp_path / "small")]
        command = [sys.executable, "-c", WORK, *folders, str(block_frames)]
        return int(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))

    frames = (one_hour.folder / "frames.bin").stat().st_size
    # What the allocator keeps for itself only adds, and differs from run to run.
    assert any(grown(32_768) < frames / 2 for _ in range(3))
    # The measure sees what it should.
    assert grown(10**9) > frames
