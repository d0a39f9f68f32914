"""Lattice-free MMI from alignment to words, on words of tones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from asr_hf.cli.main import main
from asr_hf.data.denominator_graph import DenominatorGraph
from asr_hf.data.lattice_store import LatticeStore, of_phase
from asr_hf.data.store import FrameStore
from asr_hf.hmm.system import HmmSystem
from asr_hf.training.model_file import load_model

from ..once import once
from .conftest import TONES, paths

CHAIN = ["+stage=lfmmi", "features.cmvn=none", "corpus.utterances.train=64"]
CHAIN += ["model.hidden_sizes=[32]", "trainer.horizon.epochs=40", "sampling.gradient=512"]
CHAIN += ["alignment.chain.states=40", "alignment.chain.piece=400", "runtime.look_share=null"]
CHAIN += ["decode.acoustic_scales=[1.0]"]
# The tones' recipe has settings for trainers that end by iterations.
BASE = [o for o in TONES if "stopping" not in o]


def make(root: Path) -> None:
    for verb in ("prepare", "features", "align", "train", "decode"):
        assert main([verb, *BASE, *CHAIN, *paths(root), "name=chain"]) == 0, verb


@pytest.fixture(scope="session")
def tones(importable, tmp_path_factory) -> Path:
    return once(tmp_path_factory, "lattice-free", make)


@pytest.fixture
def corpus(tones) -> Path:
    return tones / "data" / "tones"


def call(tones: Path, *given: str) -> int:
    verb, *rest = given
    return main([verb, *BASE, *CHAIN, *paths(tones), *rest])


def events(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def test_words_are_recognised_at_acoustic_scale_one(tones):
    result = json.loads((tones / "exp" / "chain" / "decode" / "test" / "result.json").read_text())
    assert result["errors"] <= 0.1 * result["words"]
    losses = [e["heldout_loss"] for e in events(tones / "exp" / "chain") if "heldout_loss" in e]
    assert min(losses) < 0.6 * losses[0]


def test_graphs_are_over_the_states_of_the_system(corpus):
    system = HmmSystem.load(corpus / "align-chain3")
    assert system.transitions.tree.width == 2
    graph = DenominatorGraph.load(corpus / "graphs-chain3" / "denominator", "")
    assert graph.num_pdfs == system.transitions.num_pdfs
    numerators = LatticeStore.open(corpus / "graphs-chain3" / "train")
    assert len(numerators.utterances) > 60
    assert max(len(numerators.pieces(name)) for name in numerators.utterances) > 1
    heldout = LatticeStore.open(corpus / "graphs-chain3" / "dev")
    assert all(len(heldout.pieces(name)) == 1 for name in heldout.utterances)
    assert set(np.unique(graph.arcs["pdf"])) <= set(range(graph.num_pdfs))


def test_pieces_need_a_length(tones, capsys):
    assert call(tones, "align", "name=chain", "alignment.chain.piece=-1") == 2
    assert "alignment.chain.piece=-1" in capsys.readouterr().err


def test_the_trained_model_has_no_priors(tones):
    model, _ = load_model(tones / "exp" / "chain" / "model.safetensors")
    assert not model.log_priors.any()


def test_graphs_that_are_there_are_kept_and_others_made_anew(tones, corpus):
    denominator = corpus / "graphs-chain3" / "denominator" / "arcs.npy"
    before = denominator.stat().st_mtime_ns
    assert call(tones, "align", "name=chain") == 0
    assert denominator.stat().st_mtime_ns == before


def test_a_killed_run_goes_on_to_the_same_model(tones, tmp_path):
    run = tones / "exp" / "chain"
    given = ["name=again", "trainer.horizon.epochs=4", f"paths.exp={tmp_path}"]
    assert call(tones, "train", *given) == 0
    whole = (tmp_path / "again" / "model.safetensors").read_bytes()
    for path in sorted((tmp_path / "again").glob("checkpoints/*"))[-1:]:
        path.unlink()
    (tmp_path / "again" / "result.json").unlink()
    assert call(tones, "train", *given) == 0
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == whole
    assert run.is_dir()


def test_what_is_missing_is_named(tones, tmp_path, capsys):
    assert call(tones, "align", "alignment.chain=null", "name=none") == 0
    assert call(tones, "train", "alignment.chain=null", "name=none") == 2
    assert "alignment.chain=null" in capsys.readouterr().err
    assert call(tones, "train", "model.subsampling=1", "name=none") == 2
    assert "model.subsampling=1" in capsys.readouterr().err
    assert call(tones, "train", "priors=posteriors", "name=none") == 2
    assert "priors=posteriors" in capsys.readouterr().err
    assert call(tones, "train", "criterion.leak=0", "name=none") == 2
    assert "leak" in capsys.readouterr().err


def test_drawn_paths_train_as_well(tones, tmp_path):
    given = ["criterion.draws=paths", "trainer.horizon.epochs=4", "name=paths"]
    assert call(tones, "train", *given, f"paths.exp={tmp_path}") == 0
    looked = [e["heldout_loss"] for e in events(tmp_path / "paths") if "heldout_loss" in e]
    assert looked[-1] < looked[0]


@pytest.mark.parametrize("trainer", ["hf", "adamw"])
def test_other_trainers_take_the_criterion(tones, tmp_path, trainer):
    given = [f"trainer={trainer}", f"name={trainer}", f"paths.exp={tmp_path}"]
    ends = {"hf": ["trainer.stopping.max_iterations=3"], "adamw": ["trainer.horizon.epochs=3"]}
    assert call_with(tones, trainer, *given, *ends[trainer]) == 0
    looked = [e["heldout_loss"] for e in events(tmp_path / trainer) if "heldout_loss" in e]
    assert looked[-1] < looked[0]


def call_with(tones: Path, trainer: str, *given: str) -> int:
    kept = [o for o in CHAIN if not o.startswith("trainer.")]
    sampling = ["sampling=geometric", "damping=levenberg_marquardt"] if trainer == "hf" else []
    kept = [o for o in kept if trainer == "hf" or not o.startswith("sampling.")]
    return main(["train", *BASE, *kept, *paths(tones), *sampling, *given])


def test_altered_copies_have_numerators_at_their_speed(tones, corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "tones")
    for path in tmp_path.rglob("*.scp"):
        path.write_text(path.read_text().replace(str(corpus), str(tmp_path / "tones")))
    given = [f"paths.data={tmp_path}", "features.perturb.speeds=[0.9]", "name=none"]
    assert call(tones, "features", *given) == 0
    assert call(tones, "align", *given) == 0
    made = LatticeStore.open(tmp_path / "tones" / "graphs-chain3" / "train")
    before = LatticeStore.open(corpus / "graphs-chain3" / "train")
    store = FrameStore.open(tmp_path / "tones" / "store-chain3" / "train")
    assert len(made.utterances) == 2 * len(before.utterances)
    lengths = dict(zip(store.utterances, np.diff(store.offsets).tolist(), strict=True))
    assert len(made.utterances) == 3 * len(lengths)
    for name, frames in lengths.items():
        for phase in range(3):
            assert made.num_frames(of_phase(name, phase)) == -(-(frames - phase) // 3)
