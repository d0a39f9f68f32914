"""The memory that LF-MMI is foretold to take, where its sums have a bound."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from asr_hf.criteria.held_sums import SUMS_BYTES
from asr_hf.criteria.lattice_batch import LatticeBatch
from asr_hf.criteria.lattice_free import LatticeFreeMMI
from asr_hf.criteria.sequence import SequenceTargets
from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkWriter
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.store import FrameStore
from asr_hf.data.store_writer import build_store
from asr_hf.hf.memory import MemoryNeed
from asr_hf.hf.objective import Sample, Split
from asr_hf.models.dnn import DNN
from asr_hf.runtime.files import write_json
from asr_hf.training.feeding.units import UnitBatch
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.planning.allocation_probe import measured
from asr_hf.training.planning.memory import plan_memory
from asr_hf.training.planning.pass_memory import measure_passes

from ...criteria.test_lattice_free import PDFS, numerator, some_graph

CPU = torch.device("cpu")
PROBES, SHORT, LONG = (64, 128), 32, 700


class MadeUpNumerators:
    """Two pdfs in each utterance, one after the other."""

    whole_utterances, every = True, 1

    def utterances(self, split: Split) -> None:
        return None

    def phases(self, split: Split) -> int:
        return 1

    def of(self, split: Split, batch: UnitBatch) -> SequenceTargets:
        pdf_of = np.arange(-1, PDFS, dtype=np.int32)
        graphs = [numerator(int(frames), [0, 2]) for frames in batch.lengths]
        packed = LatticeBatch.pack(graphs, pdf_of, pdf_of + 1, CPU)
        return SequenceTargets(batch.labels, packed, torch.zeros(PDFS), batch.labels, [])


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> FrameStore:
    """Many short utterances, and a long one behind them."""
    folder, random = tmp_path_factory.mktemp("long"), np.random.default_rng(0)
    lengths = {f"utt{n:02d}": SHORT for n in range(40)} | {"utt99": LONG}
    pdfs = {n: random.integers(0, PDFS, length).astype(np.int32) for n, length in lengths.items()}
    with ArkWriter(folder / "fbank", "feats") as ark:
        for name, length in lengths.items():
            ark.write(name, random.normal(size=(length, 3)).astype(np.float32))
    write_json(folder / "fbank" / "fbank.json", {"cmvn": "none"})
    data = DataDir(folder, [Utterance(n, "spk", n) for n in lengths], {n: n for n in lengths})
    build_store(folder / "store", data, folder / "fbank", Alignments(pdfs, PDFS), "float32")
    return FrameStore.open(folder / "store")


@pytest.fixture
def objective(store, tmp_path, monkeypatch) -> FrameObjective:
    monkeypatch.setattr("asr_hf.training.planning.pass_memory._PROBES", PROBES)
    some_graph(3, 100, 400).save(tmp_path)
    model = DNN(feature_dim=3, num_pdfs=PDFS, hidden_sizes=[6], left=1, right=1)
    criterion = LatticeFreeMMI(tmp_path)
    stores = dict.fromkeys(Split, store)
    return FrameObjective(model, criterion, stores, 256, targets=MadeUpNumerators())


def test_a_long_utterance_takes_what_is_foretold(objective):
    criterion, theta = objective.criterion, objective.model.flat.detach().clone()
    entries = 4 * len(criterion.recursion(torch.float32, CPU).pdf)
    criterion.sums_bytes = 150 * entries
    passes = measure_passes(objective, curvature=True)
    assert criterion.sums_bytes == 150 * entries
    longest = Sample(Split.TRAIN, np.array([objective.stores[Split.TRAIN].num_units - 1]))
    with measured(CPU) as gradient:
        objective.gradient(theta, longest)
    with measured(CPU) as kept:
        held = objective.curvature(theta, longest)
    with measured(CPU) as product:
        held.product(theta)
    foretold = passes.gradient.at(LONG)
    assert gradient.peak <= foretold
    assert kept.peak + product.peak <= passes.products(LONG)
    # Lines that did not bend would foretell more.
    straight = [
        replace(line, bend=math.inf) for line in (passes.gradient, passes.kept, passes.product)
    ]
    assert foretold < 0.6 * straight[0].at(LONG)
    assert passes.products(LONG) < 0.7 * (straight[1].at(LONG) + straight[2].at(LONG))


def test_a_budget_bounds_the_sums(objective):
    need = MemoryNeed(10**6, curvature_frames=1000)
    plan_memory(objective, need, 256, None)
    assert objective.criterion.sums_bytes == SUMS_BYTES
    plan_memory(objective, need, 256, 900 * 10**6)
    assert 30 * 10**6 < objective.criterion.sums_bytes < 900 * 10**6 / 8
