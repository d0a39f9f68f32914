"""Systems of lattice-free MMI for Kaldi, Vosk and ONNX, on words of tones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import vosk

from asr_hf.cli.main import main
from asr_hf.data.ark import ArkReader
from asr_hf.data.frame_batch import FrameBatch
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.system import HmmSystem
from asr_hf.kaldi.transition_model import read_transition_model
from asr_hf.training.model_file import load_model
from benchmarks import vosk as held_against

from ..hmm import kaldi_decoders
from ..kaldi.test_network import Nnet3, numbers
from ..once import once
from . import test_flat_start as flat_start
from . import test_lattice_free as lattice_free
from .conftest import TONES, paths
from .test_every_third import FACTORISED

# Vosk multiplies a path's score by this.
GRAPH_SCALE = 0.9
# What each run was trained from.
RUNS = {"tdnnf": "align-chain3", "dnn": "align-chain3", "flat": "align-flat-chain3"}


def make(tones: Path, root: Path) -> None:
    """Train a factorised network on the states and graphs that are there, and export it."""
    narrow = (lattice_free.BASE, lattice_free.CHAIN)
    own = [o for options in narrow for o in options if "hidden_sizes" not in o]
    given = [*own, *paths(tones), *FACTORISED, "trainer.horizon.epochs=20"]
    for verb in ("train", "decode"):
        assert main([verb, *given, f"paths.exp={root}", "name=tdnnf"]) == 0, verb
    for form in ("vosk", "nnet3", "onnx"):
        assert main(["export", form, str(root / "tdnnf"), *TONES[:2]]) == 0


def export(run: Path) -> None:
    """Export a run for Vosk that other tests read as well."""
    assert main(["export", "vosk", str(run), *TONES[:2]]) == 0


@pytest.fixture(scope="session")
def tones(importable, tmp_path_factory) -> Path:
    return once(tmp_path_factory, "lattice-free", lattice_free.make)


@pytest.fixture(scope="session")
def factorised(tones, tmp_path_factory) -> Path:
    """Folder of the factorised network's run."""
    return once(tmp_path_factory, "chain-exports", lambda root: make(tones, root)) / "tdnnf"


@pytest.fixture
def run(request, tones, factorised, tmp_path_factory) -> tuple[Path, Path]:
    """Folder of a run, and that of the corpus."""
    name = request.param
    if name == "tdnnf":
        return factorised, tones / "data" / "tones"
    root = tones
    if name == "flat":
        root = once(tmp_path_factory, "flat-start", flat_start.make)
    found = root / "exp" / {"dnn": "chain", "flat": "flat"}[name]
    once(tmp_path_factory, f"exported-{name}", lambda _: export(found))
    return found, root / "data" / "tones"


@pytest.mark.parametrize(("run", "system"), RUNS.items(), ids=RUNS, indirect=["run"])
def test_vosk_finds_the_words_times_and_scores_of_decode(run, system):
    folder, corpus = run
    found = held_against.compared(folder, corpus / "test", None)
    best = found["best_path"]
    assert best["words"] == best["their_words"] == best["same_words"] > 0
    assert best["near_times"] == best["times"] == 2 * best["words"]
    assert found["errors"] == found["errors_of_vosk"]
    hmms = HmmSystem.load(corpus / system)
    graph = fsts.read(corpus / system / "graph" / "xx" / "HCLG.fst")
    model = vosk.Model(str(folder / "export" / "vosk-xx"))
    for name, scores in scores_of(folder, corpus):
        path = kaldi_decoders.best_path(hmms.transitions, graph, scores)
        theirs = held_against.result_of(model, corpus / "wav" / f"{name}.wav", 1)
        assert theirs["confidence"] == pytest.approx(GRAPH_SCALE * path.score, rel=1e-4)


@torch.no_grad()
def scores_of(run: Path, corpus: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The network's log likelihoods of each recording, every third frame."""
    model, _ = load_model(run / "model.safetensors")
    features = ArkReader(corpus / "fbank" / "test" / "feats.scp")
    for name in features:
        frames = torch.tensor(features[name])
        count = len(frames)
        ids = torch.zeros(count, dtype=torch.int64)
        batch = FrameBatch(frames, ids, ids, torch.full((count,), count))
        index = torch.arange(0, count, 3)
        yield name, model.log_likelihoods(model.inputs(batch, index)).numpy()


def test_words_are_where_the_alignment_has_them(tones, factorised):
    corpus = tones / "data" / "tones"
    found = held_against.compared(factorised, corpus / "test", corpus / "align-chain3" / "test")
    assert found["errors"] <= 0.2 * found["reference_words"]
    assert found["to_the_alignment"]["median_distance"] <= held_against.NEAR


def test_nnet3_gives_the_networks_scores(tones, factorised):
    text = (factorised / "export" / "final.mdl").read_text()
    transitions = read_transition_model(factorised / "export" / "final.mdl")
    corpus = tones / "data" / "tones"
    system = HmmSystem.load(corpus / "align-chain3")
    np.testing.assert_array_equal(transitions.pdf_of, system.transitions.pdf_of)
    # Outputs are log likelihoods as they are: Kaldi divides by priors of 1. The second output layer
    # is gone.
    priors = numbers(text.rpartition("<Priors>")[2].strip(" \n[]"))
    assert len(priors) == system.transitions.num_pdfs and np.all(priors == 1)
    name, scores = next(scores_of(factorised, corpus))
    features = ArkReader(corpus / "fbank" / "test" / "feats.scp")[name]
    network = Nnet3((factorised / "export" / "final.raw").read_text(), features)
    found = [network.at(network.output, time) for time in range(0, len(features), 3)]
    np.testing.assert_allclose(found, scores, rtol=1e-4, atol=1e-4)


def test_onnx_gives_the_networks_scores(tones, factorised):
    session = onnxruntime.InferenceSession(os.fspath(factorised / "export" / "model.onnx"))
    corpus = tones / "data" / "tones"
    features = ArkReader(corpus / "fbank" / "test" / "feats.scp")
    for name, scores in scores_of(factorised, corpus):
        (found,) = session.run(["log_likelihoods"], {"features": features[name]})
        np.testing.assert_allclose(found, scores, rtol=1e-4, atol=1e-4)
