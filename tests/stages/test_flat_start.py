"""Lattice-free MMI from transcripts alone, on words of tones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from asr_hf.cli.main import main
from asr_hf.data.denominator_graph import DenominatorGraph
from asr_hf.data.store import FrameStore
from asr_hf.data.transcript_store import TranscriptStore
from asr_hf.hmm.system import HmmSystem
from asr_hf.stages.sources.integrity import check_folder

from ..once import once
from .conftest import paths
from .test_lattice_free import BASE, CHAIN, events

FLAT = [*CHAIN, "alignment=none", "criterion.cross_entropy=0"]


def make(root: Path) -> None:
    for verb in ("prepare", "features", "align", "train", "decode"):
        assert main([verb, *BASE, *FLAT, *paths(root), "name=flat"]) == 0, verb


@pytest.fixture(scope="session")
def tones(importable, tmp_path_factory) -> Path:
    return once(tmp_path_factory, "flat-start", make)


@pytest.fixture
def corpus(tones) -> Path:
    return tones / "data" / "tones"


def call(tones: Path, *given: str) -> int:
    verb, *rest = given
    return main([verb, *BASE, *FLAT, *paths(tones), *rest])


def test_words_are_recognised_without_any_alignment(tones, corpus):
    result = json.loads((tones / "exp" / "flat" / "decode" / "test" / "result.json").read_text())
    assert result["errors"] <= 0.2 * result["words"]
    losses = [e["heldout_loss"] for e in events(tones / "exp" / "flat") if "heldout_loss" in e]
    assert min(losses) < 0.6 * losses[0]
    # Frames count as wrong where they part from what the transcript's paths say.
    assert (
        0
        < json.loads((tones / "exp" / "flat" / "result.json").read_text())["heldout_frame_error"]
        < 0.5
    )
    assert not [*corpus.rglob("gmm.npz"), *corpus.rglob("ali.ark"), *corpus.rglob("labels.bin")]


def test_stores_have_no_labels_and_graphs_the_length_of_their_utterances(corpus):
    system = HmmSystem.load(corpus / "align-flat-chain3")
    assert system.transitions.num_pdfs == 2 * (len(system.phones) - 1)
    denominator = DenominatorGraph.load(corpus / "graphs-flat-chain3" / "denominator", "")
    for name in ("train", "dev"):
        store = FrameStore.open(corpus / "store-flat-chain3" / name)
        graphs = TranscriptStore.open(corpus / "graphs-flat-chain3" / name)
        assert not store.labelled
        assert store.num_pdfs == graphs.num_pdfs == denominator.num_pdfs
        assert graphs.utterances == store.utterances
        for utterance, frames in zip(store.utterances, np.diff(store.offsets), strict=True):
            assert graphs.graph(utterance).num_frames == -(-frames // 3)
        assert check_folder(graphs.folder) == (f"{len(store.utterances)} graphs of transcripts", [])
    assert FrameStore.open(corpus / "store-flat-chain3" / "test").num_units == 6


def test_what_is_there_is_kept(tones, corpus):
    files = [*(corpus / "graphs-flat-chain3").rglob("*.npy")]
    files += (corpus / "store-flat-chain3").rglob("frames.bin")
    before = [path.stat().st_mtime_ns for path in files]
    assert files and call(tones, "align", "name=flat") == 0
    assert [path.stat().st_mtime_ns for path in files] == before


@pytest.fixture
def copied(corpus, tmp_path) -> str:
    """A copy of the corpus, as paths.data."""
    shutil.copytree(corpus, tmp_path / "tones")
    for path in tmp_path.rglob("*.scp"):
        path.write_text(path.read_text().replace(str(corpus), str(tmp_path / "tones")))
    return f"paths.data={tmp_path}"


def test_a_phone_has_states_of_its_own_after_others(tones, copied, tmp_path):
    given = [copied, "alignment.flat.context=left", "name=left", f"paths.exp={tmp_path / 'exp'}"]
    assert call(tones, "align", *given) == 0
    system = HmmSystem.load(tmp_path / "tones" / "align-flat-chain3")
    assert system.transitions.num_pdfs > 2 * (len(system.phones) - 1)
    assert call(tones, "train", *given, "trainer.horizon.epochs=4") == 0
    looked = [e["heldout_loss"] for e in events(tmp_path / "exp" / "left") if "heldout_loss" in e]
    assert looked[-1] < looked[0]


def test_utterances_too_short_for_their_words_are_named(tones, copied, tmp_path, capsys):
    text = tmp_path / "tones" / "train" / "text"
    first, *others = text.read_text().splitlines()
    name, word, *_ = first.split()
    text.write_text("\n".join([f"{name} {' '.join([word] * 200)}", *others]) + "\n")
    assert call(tones, "align", copied, "name=none") == 0
    assert f"{name}: 400 phones in" in capsys.readouterr().err
    graphs = TranscriptStore.open(tmp_path / "tones" / "graphs-flat-chain3" / "train")
    assert name not in graphs and name in graphs.about["skipped"]
    assert call(tones, "align", copied, "name=none", "alignment.max_skipped=0") == 2
    assert name in capsys.readouterr().err


def test_altered_copies_have_graphs_of_their_own_length(tones, copied, tmp_path):
    given = [copied, "features.perturb.speeds=[0.9]", "name=none"]
    assert call(tones, "features", *given) == 0
    assert call(tones, "align", *given) == 0
    store = FrameStore.open(tmp_path / "tones" / "store-flat-chain3" / "train")
    graphs = TranscriptStore.open(tmp_path / "tones" / "graphs-flat-chain3" / "train")
    assert store.num_units == 2 * 64 and graphs.utterances == store.utterances
    lengths = -(-np.diff(store.offsets) // 3)
    assert [graphs.num_frames(name) for name in store.utterances] == lengths.tolist()


@pytest.mark.parametrize("trainer", ["hf", "adamw"])
def test_other_trainers_take_transcripts(tones, tmp_path, trainer):
    given = [f"trainer={trainer}", f"name={trainer}", f"paths.exp={tmp_path}"]
    ends = {"hf": ["trainer.stopping.max_iterations=3"], "adamw": ["trainer.horizon.epochs=3"]}
    kept = [o for o in FLAT if not o.startswith("trainer.")]
    if trainer == "hf":
        given += ["sampling=geometric", "damping=levenberg_marquardt"]
    else:
        kept = [o for o in kept if not o.startswith("sampling.")]
    assert main(["train", *BASE, *kept, *paths(tones), *given, *ends[trainer]]) == 0
    looked = [e["heldout_loss"] for e in events(tmp_path / trainer) if "heldout_loss" in e]
    assert looked[-1] < looked[0]


def test_a_network_of_a_flat_start_aligns_the_corpus(tones, copied, tmp_path):
    system = tmp_path / "tones" / "align-flat-chain3"
    given = [f"alignment.states_from={system}", f"alignment.from_run={tones}/exp/flat", copied]
    given += ["alignment.system=align-again", "alignment.tag=again", "alignment.acoustic_scale=1.0"]
    overrides = [*BASE, *CHAIN, *paths(tones), *given, f"paths.exp={tmp_path / 'exp'}"]
    assert main(["align", *overrides, "name=again"]) == 0
    store = FrameStore.open(tmp_path / "tones" / "store-again-chain3" / "train")
    assert store.labelled and store.label_counts().sum() == store.num_frames
    assert main(["train", *overrides, "name=again", "trainer.horizon.epochs=4"]) == 0


REFUSED = {
    "criterion.cross_entropy=0.1": ("train", "criterion.cross_entropy=0.1 trains a second output"),
    "criterion=cross_entropy": ("train", "CrossEntropy needs labels"),
    "alignment.chain=null": ("align", "alignment=none: states of lattice-free MMI alone"),
    "alignment.flat.context=right": ("align", "alignment.flat.context=right"),
    "alignment.flat.pause_between=1.5": ("align", "alignment.flat.pause_between=1.5"),
    "alignment.from_run=exp/none": ("align", "alignment.from_run beside alignment.flat"),
}


@pytest.mark.parametrize("override", REFUSED)
def test_what_does_not_go_together_is_refused(tones, capsys, override):
    verb, said = REFUSED[override]
    given = [o for o in FLAT if o.partition("=")[0] not in (override.partition("=")[0],)]
    if override == "criterion=cross_entropy":
        given = [o for o in given if not o.startswith("criterion")]
    assert main([verb, *BASE, *given, *paths(tones), "name=none", override]) == 2
    assert said in capsys.readouterr().err


def test_times_are_those_of_alignments(tones, capsys):
    assert call(tones, "align", "--format", "ctm", "name=none") == 2
    assert "alignment=none has no times" in capsys.readouterr().err
