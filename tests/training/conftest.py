"""A small corpus of drawn features, packed as real ones are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkWriter
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.store import FrameStore
from asr_hf.data.store_writer import build_store
from asr_hf.hf.objective import Split
from asr_hf.hf.preconditioners.kfac import FisherFactors
from asr_hf.hf.statistics import SampleStatistics
from asr_hf.models.dnn import DNN
from asr_hf.runtime.files import write_json
from asr_hf.training.frame_objective import FrameObjective

PDFS, DIM = 4, 3


def make_store(folder: Path, utterances: int, seed: int) -> FrameStore:
    """Frames that scatter around one centre a pdf."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(PDFS, DIM)) * 2
    names = [f"utt{n:02d}" for n in range(utterances)]
    pdfs = {n: rng.integers(0, PDFS, size=rng.integers(4, 15)).astype(np.int32) for n in names}
    fbank = folder / "fbank"
    with ArkWriter(fbank, "feats") as ark:
        for name in names:
            noise = rng.normal(size=(len(pdfs[name]), DIM))
            ark.write(name, (centres[pdfs[name]] + noise).astype(np.float32))
    write_json(fbank / "fbank.json", {"cmvn": "none"})
    data = DataDir(folder, [Utterance(n, "spk", n) for n in names], {n: n for n in names})
    build_store(folder / "store", data, fbank, Alignments(pdfs, PDFS), "float32")
    return FrameStore.open(folder / "store")


@pytest.fixture(scope="session")
def stores(tmp_path_factory) -> dict[Split, FrameStore]:
    folder = tmp_path_factory.mktemp("corpus")
    return {
        Split.TRAIN: make_store(folder / "train", 30, 1),
        Split.HELDOUT: make_store(folder / "dev", 8, 2),
    }


@pytest.fixture
def make_objective(stores):
    def make(chunk_frames: int = 40, dtype: torch.dtype = torch.float64, **changes):
        settings = {"hidden_sizes": [6, 5], "activation": "sigmoid", "left": 1, "right": 2}
        model = DNN(feature_dim=DIM, num_pdfs=PDFS, seed=3, **(settings | changes)).to(dtype)
        return FrameObjective(model, CrossEntropy(), stores, chunk_frames)

    return make


@pytest.fixture
def fisher_factors():
    """(objective, θ, sample, seed) -> the factors that K-FAC estimates."""

    def factors(objective, theta, sample, seed):
        statistics = SampleStatistics(objective, theta, sample, theta, seed)
        return statistics.accumulate(FisherFactors(objective.layers, seed))

    return factors
