"""Predicted memory against what tensors, and the process, really take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkWriter
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.store_writer import build_store
from asr_hf.hf.memory import MemoryNeed
from asr_hf.hf.objective import Sample, Split
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_json
from asr_hf.training.feeding.frame_source import FrameSource, resident_size
from asr_hf.training.planning.allocation_probe import measured
from asr_hf.training.planning.memory import MemoryPlan, parse_bytes, plan_memory
from asr_hf.training.planning.pass_memory import Line, measure_passes

from ..exactness import assert_memory_is_foretold

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4_000_000_000), ("800 MB", 800_000_000), ("1.5g", 1_500_000_000), (123, 123)],
)
def test_sizes_are_read(text, size):
    assert parse_bytes(text, "runtime.memory") == size


@pytest.mark.parametrize("text", ["much", "-1GB", "0", "4 XB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InputError, match=r"runtime\.memory"):
        parse_bytes(text, "runtime.memory")


def test_live_bytes_follow_storages_not_tensors():
    with measured(CPU) as usage:
        a = torch.ones(1000, dtype=torch.float64)
        view = a.view(10, 100).T
        b = view + 1
        del a, view
        c = torch.zeros(500, dtype=torch.float64)
        c.add_(1)
        del c
    assert usage.peak == 8000 + 8000
    assert usage.held == 8000
    del b


def test_what_autograd_keeps_is_seen():
    x = torch.ones(100, 10, requires_grad=True)
    with measured(CPU) as usage:
        y = x.exp().exp().sum()
    assert usage.held == 2 * 4000 + 4
    with measured(CPU) as usage:
        y.backward()
    assert usage.peak >= 4000


def test_predictions_hold_for_more_frames(make_objective, stores):
    """The lines, drawn on few frames, against all of the training data."""
    objective = make_objective(dtype=torch.float32, hidden_sizes=[64, 64])
    passes = measure_passes(objective, curvature=True)
    assert objective.frames_by_pass == {"gradient": 0, "curvature": 0, "loss": 0}
    assert_memory_is_foretold(objective, passes)


def test_a_small_budget_makes_activations_anew_and_none_too_small_passes(make_objective):
    objective = make_objective(dtype=torch.float32, hidden_sizes=[512, 512])
    need = MemoryNeed(10**6, curvature_frames=50_000)
    free = plan_memory(objective, need, 8192, None)
    assert free.recomputed == 0.0 and free.chunk_frames == 8192
    assert free.chunks_kept([8192] * 7) == 7
    tight = plan_memory(objective, need, 8192, int(free.peak * 0.9))
    assert 0 < tight.recomputed < 1
    assert tight.peak <= free.peak * 0.9
    kept = tight.chunks_kept([1000] * 50)
    assert 0 < kept < 50
    assert tight.kept_line.at(1000) * kept <= tight.kept_bytes
    with pytest.raises(InputError, match="too few"):
        plan_memory(objective, need, 8192, 10**7)


def test_made_anew_or_kept_products_are_the_same_bits(make_objective, stores):
    objective = make_objective(dtype=torch.float32)
    everything = Sample(Split.TRAIN, np.arange(stores[Split.TRAIN].num_units))
    theta = objective.model.flat.detach().clone()
    v = torch.randn(len(theta), generator=torch.Generator().manual_seed(0))
    kept = objective.curvature(theta, everything).product(v)
    line = Line(0.0, 1.0)
    objective.chunks_kept = MemoryPlan(40, 100, line, 0, 0, 0, 0.5).chunks_kept
    assert torch.equal(objective.curvature(theta, everything).product(v), kept)


SCRIPT = """
import json, sys, threading, time
import torch
from pathlib import Path
from asr_hf.runtime.allocator import return_large_blocks
return_large_blocks()
torch.set_num_threads(1)
from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.data.store import FrameStore
from asr_hf.hf.damping import LevenbergMarquardt
from asr_hf.hf.acceptance import Backtracking
from asr_hf.hf.objective import Split
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.hf.sampling.fixed import FixedSampling
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.hf.hessian_free import HessianFree, Stopping
from asr_hf.models.dnn import DNN
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.planning.memory import held_now, parse_bytes, plan_memory, problem_size

folder, budget = Path(sys.argv[1]), parse_bytes(json.loads(sys.argv[2]), "budget")
store = FrameStore.open(folder)
model = DNN(feature_dim=40, num_pdfs=500, hidden_sizes=[512], left=5, right=5)
objective = FrameObjective(model, CrossEntropy(), {p: store for p in Split})
hf = HessianFree(
    objective=objective, theta=model.flat.detach().clone(),
    solver=FlexibleConjugateGradient(max_iterations=3),
    preconditioner=LBFGSPreconditioner(pairs=4), sampling=FixedSampling(1.0, 0.9),
    damping=LevenbergMarquardt(), acceptance=Backtracking(), stopping=Stopping(),
)
plan = plan_memory(objective, hf.memory(problem_size(objective)), 8192, budget)
objective.chunk_frames, objective.chunks_kept = plan.chunk_frames, plan.chunks_kept
peak = [0]
def watch():
    while True:
        peak[0] = max(peak[0], held_now(model.flat.device))
        time.sleep(0.002)
threading.Thread(target=watch, daemon=True).start()
hf.step()
print(json.dumps([plan.peak, peak[0], plan.recomputed]))
"""


@pytest.mark.parametrize("resident", [True, False])
def test_resident_features_are_foretold_and_leave_less_to_chunks(
    make_objective, resident, monkeypatch
):
    # Whatever the tests before this one have left in the process.
    monkeypatch.setattr("asr_hf.training.planning.memory.held_now", lambda _: 400 * 10**6)
    objective = make_objective(dtype=torch.float32, hidden_sizes=[512, 512])
    sources = objective.sources
    sizes = {split: resident_size(source.store) for split, source in sources.items()}
    objective.sources = {
        split: FrameSource(source.store, CPU, resident) for split, source in sources.items()
    }
    need = MemoryNeed(10**6, curvature_frames=50_000)
    plan = plan_memory(objective, need, 8192, None)
    assert plan.features == (sum(sizes.values()) if resident else 0)
    # A budget in which the chunks just have their half.
    passes = measure_passes(objective, curvature=True)
    half = max(passes.sums(8192, need), passes.products(8192))
    budget = int(500e6 + need.bytes + 2 * half) + 1000
    chunk = plan_memory(objective, need, 8192, budget).chunk_frames
    assert chunk == (4096 if resident else 8192)


@pytest.fixture(scope="module")
def large_store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    names = [f"utt{n:02d}" for n in range(40)]
    pdfs = {n: rng.integers(0, 500, size=300).astype(np.int32) for n in names}
    with ArkWriter(folder / "fbank", "feats") as ark:
        for name in names:
            ark.write(name, rng.normal(size=(300, 40)).astype(np.float32))
    write_json(folder / "fbank" / "fbank.json", {"cmvn": "none"})
    data = DataDir(folder, [Utterance(n, "spk", n) for n in names], {n: n for n in names})
    build_store(folder / "store", data, folder / "fbank", Alignments(pdfs, 500), "float16")
    return folder / "store"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("budget", [None, "480MB"])
def test_a_process_takes_what_was_predicted(large_store, budget):
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(large_store), json.dumps(budget)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    predicted, peak, recomputed = json.loads(run.stdout)
    assert peak == pytest.approx(predicted, rel=0.1)
    if budget:
        assert recomputed > 0 and peak <= 1.1 * 480e6
