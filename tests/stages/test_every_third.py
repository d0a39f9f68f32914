"""A network that emits every third frame, from alignment to Vosk, on words of tones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import vosk

from asr_hf.cli.main import main
from asr_hf.data.ark import ArkReader
from asr_hf.data.frame_batch import FrameBatch
from asr_hf.hmm.system import HmmSystem
from asr_hf.kaldi.graph import read_symbols
from asr_hf.kaldi.transition_model import read_transition_model
from asr_hf.scoring.ctm import read_ctm
from asr_hf.training.model_file import load_model
from benchmarks.vosk import result_of

from ..once import once
from .conftest import TONES, paths
from .test_adapt import NEW, write_table

RATE = 8000
THIRD = ["model.subsampling=3", "features.cmvn=none", "corpus.utterances.train=64"]
THIRD += ["model.hidden_sizes=[32]", "trainer.stopping.max_iterations=15"]
THIRD += ["decode.acoustic_scales=[0.3,0.6,1.0]", "decode.lattice_scale=0.6"]
# Most that a time of Vosk's may differ from ours: one frame that is emitted, and its rounding.
NEAR = 0.031


def make(root: Path) -> None:
    lattices = ["lattices", f"lattices.from_run={root}/exp/first"]
    verbs = (["prepare"], ["features"], ["align"], ["train"], ["decode"], lattices)
    for verb, *given in (*verbs, ["export", "vosk", f"{root}/exp/first"]):
        if verb == "export":
            assert main([verb, *given, *TONES[:2]]) == 0
        else:
            assert main([verb, *TONES, *paths(root), *THIRD, "name=first", *given]) == 0, verb


@pytest.fixture(scope="session")
def tones(importable, tmp_path_factory) -> Path:
    return once(tmp_path_factory, "every-third", make)


@pytest.fixture
def run(tones) -> Path:
    return tones / "exp" / "first"


def call(tones: Path, *given: str) -> int:
    verb, *rest = given
    return main([verb, *TONES, *paths(tones), *THIRD, *rest])


def errors(run: Path, name: str = "test") -> float:
    result = json.loads((run / "decode" / name / "result.json").read_text())
    return 100 * result["errors"] / result["words"]


def test_words_are_right_and_times_are_those_of_every_third_frame(tones, run):
    assert errors(run) <= 10
    words = read_ctm(run / "decode" / "test" / "words.ctm")
    assert words
    for word in words:
        np.testing.assert_allclose(
            np.array([word.start, word.duration]) % 0.03 % 0.03, 0, atol=0.03
        )
        assert round(word.start * 1000) % 30 == round(word.duration * 1000) % 30 == 0
    aligned = read_ctm(tones / "data" / "tones" / "align-every3" / "test" / "words.ctm")
    truth = {(w.recording, w.word): w.start for w in aligned}
    near = [
        abs(w.start - truth[w.recording, w.word]) for w in words if (w.recording, w.word) in truth
    ]
    assert np.median(near) <= NEAR


def test_labels_are_at_the_full_rate(tones):
    corpus = tones / "data" / "tones"
    labels = ArkReader(corpus / "align-every3" / "test" / "ali.scp")
    features = ArkReader(corpus / "fbank" / "test" / "feats.scp")
    assert all(len(labels[name]) == len(features[name]) for name in labels)


def test_the_network_realigns_its_corpus(tones, run, capsys):
    given = [f"alignment.from_run={run}", "alignment.tag=again"]
    assert call(tones, "align", *given, "name=again") == 0
    assert call(tones, "align", *given, "name=again", "--format", "ctm") == 2
    assert "too coarse" in capsys.readouterr().err
    corpus = tones / "data" / "tones"
    before, after = (
        read_ctm(corpus / folder / "train" / "phones.ctm")
        for folder in ("align-every3", "align-again-every3")
    )
    assert [(p.recording, p.word) for p in before] == [(p.recording, p.word) for p in after]
    moved = [abs(a.start - b.start) for a, b in zip(before, after, strict=True)]
    assert np.quantile(moved, 0.9) <= NEAR


def test_transcribe_gives_the_words_and_times_of_decode(tones, run, capsys):
    wavs = sorted((tones / "data" / "tones" / "wav").glob("test-*.wav"))
    capsys.readouterr()
    given = [str(run), *map(str, wavs), "--format", "json", *TONES[:2]]
    assert main(["transcribe", *given]) == 0
    found = [
        (Path(one["file"]).stem, word["word"], word["start"])
        for one in json.loads(capsys.readouterr().out)["recordings"]
        for word in one["words"]
    ]
    expected = read_ctm(run / "decode" / "test" / "words.ctm")
    assert [f[:2] for f in found] == [(w.recording, w.word) for w in expected]
    np.testing.assert_allclose([f[2] for f in found], [w.start for w in expected], atol=2e-3)


def test_smbr_trains_on_every_third_frame(tones, run, capsys):
    stage = ["+stage=smbr", f"init_from={run}", "name=smbr", "criterion.acoustic_scale=0.3"]
    assert call(tones, "train", *stage, "trainer.stopping.max_iterations=3") == 0
    lines = (tones / "exp" / "smbr" / "events.jsonl").read_text().splitlines()
    losses = [e["train_loss"] for e in map(json.loads, lines) if e["iteration"]]
    assert len(losses) == 3 and losses[-1] <= losses[0]


def test_onnx_emits_every_third_frame(tones, run):
    assert main(["export", "onnx", str(run), *TONES[:2]]) == 0
    session = onnxruntime.InferenceSession(str(run / "export" / "model.onnx"))
    model, _ = load_model(run / "model.safetensors")
    features = np.random.default_rng(0).normal(size=(20, model.feature_dim)).astype(np.float32)
    (found,) = session.run(["log_posteriors"], {"features": features})
    assert found.shape == (7, model.num_pdfs)


def test_nnet1_and_alignments_from_outside_are_refused(tones, run, capsys):
    assert main(["export", "nnet1", str(run), *TONES[:2]]) == 2
    assert "model.subsampling=3" in capsys.readouterr().err
    assert call(tones, "align", "alignment.from_ark=x.ark", "alignment.num_pdfs=3") == 2
    assert "model.subsampling=3" in capsys.readouterr().err
    assert call(tones, "align", "model.subsampling=4") == 2
    assert "one of 1, 2, 3" in capsys.readouterr().err


@pytest.fixture(scope="session")
def vosk_model(tones):
    vosk.SetLogLevel(-1)
    return vosk.Model(str(tones / "exp" / "first" / "export" / "vosk-xx"))


def heard(model, wav: Path, alternatives: int = 1) -> list[dict]:
    """What Vosk recognises: the best path, or with no alternatives the least risk."""
    return result_of(model, wav, alternatives).get("result", [])


def test_vosk_hears_what_decode_hears_at_the_same_times(tones, run, vosk_model):
    expected = read_ctm(run / "decode" / "test" / "words.ctm")
    assert expected
    for wav in sorted((tones / "data" / "tones" / "wav").glob("test-*.wav")):
        ours = [w for w in expected if w.recording == wav.stem]
        least_risk = heard(vosk_model, wav, 0)
        # Where two readings are about equally probable, least risk may not be the best path.
        sure = all(word["conf"] > 0.7 for word in least_risk)
        for found in (heard(vosk_model, wav), *([least_risk] if sure else [])):
            assert [w["word"] for w in found] == [w.word for w in ours]
            for one, other in zip(found, ours, strict=True):
                assert one["start"] == pytest.approx(other.start, abs=NEAR)
                assert one["end"] == pytest.approx(other.start + other.duration, abs=NEAR)


def test_the_models_parts_fit_one_another(tones, run):
    folder = run / "export" / "vosk-xx"
    transitions = read_transition_model(folder / "am" / "final.mdl")
    system = HmmSystem.load(tones / "data" / "tones" / "align-every3")
    assert transitions.num_pdfs == system.transitions.num_pdfs
    phones = read_symbols(folder / "graph" / "phones.txt")
    boundaries = (folder / "graph" / "phones" / "word_boundary.int").read_text().split("\n")[:-1]
    assert len(boundaries) == len(phones) - 1
    assert "--frame-subsampling-factor=3" in (folder / "conf" / "model.conf").read_text()


def refused(place, run: Path) -> str:
    place.capture.readouterr()
    assert main(["export", "vosk", str(run), *TONES[:2]]) == 2
    return place.capture.readouterr().err


def test_models_that_vosk_would_mishear_are_refused(place):
    said = refused(place, place.run)
    assert "features.cmvn" in said
    unnormalised = ["features.cmvn=none", "name=full"]
    for verb in ("features", "align", "train", "decode"):
        place.well(verb, *unnormalised)
    run = place.root / "exp" / "full"
    said = refused(place, run)
    assert "3 times too long" in said and "export.word_times=false" in said
    assert main(["export", "vosk", str(run), *TONES[:2], "export.word_times=false"]) == 0
    vosk.SetLogLevel(-1)
    model = vosk.Model(str(run / "export" / "vosk-xx"))
    for wav in sorted((place.corpus / "wav").glob("test-*.wav"))[:3]:
        found = " ".join(w["word"] for w in heard(model, wav))
        hyp = (run / "decode" / "test" / "hyp.txt").read_text().splitlines()
        assert f"{wav.stem} {found}".strip() in [line.strip() for line in hyp]


@pytest.mark.parametrize("states", ["same", "new"])
def test_the_network_is_adapted_with_states_of_every_third_frame(tones, run, tmp_path, states):
    table = write_table(tmp_path / "voice")
    # What it makes stays apart from the corpus and the run.
    given = [f"paths.data={tmp_path}/data", f"paths.exp={tmp_path}/exp", f"adapt.states={states}"]
    assert main(["adapt", str(run), f"table={table}", *NEW, *given, "name=voice"]) == 0
    (folder,) = (tmp_path / "data" / "voice").glob("align*-every3/hmm.json")
    assert HmmSystem.load(folder.parent).subsampling == 3
    model, _ = load_model(tmp_path / "exp" / "voice" / "model.safetensors")
    assert model.subsampling == 3
    assert read_ctm(tmp_path / "exp" / "voice" / "decode" / "test" / "words.ctm")


FACTORISED = ["model=tdnnf", "model.strides=[1,0,3]", "model.hidden_size=32"]
FACTORISED += ["model.bottleneck_size=16", "model.prefinal_size=16"]
# The settings of the other network are none of its own.
OWN_THIRD = [setting for setting in THIRD if "hidden_sizes" not in setting]
OWN_TONES = [setting for setting in TONES if "hidden_sizes" not in setting]


@pytest.mark.parametrize("kind", ["rms", "batch"])
def test_vosk_hears_what_a_factorised_network_hears(tones, tmp_path, kind):
    """Kaldi computes it from the exported components: linear maps, sums, scales, no-ops."""
    given = [*OWN_TONES, *paths(tones), *OWN_THIRD, *FACTORISED, f"model.normalisation={kind}"]
    given += [f"paths.exp={tmp_path}", "name=factorised"]
    for verb in ("train", "decode"):
        assert main([verb, *given]) == 0
    run = tmp_path / "factorised"
    assert errors(run) <= 20
    assert main(["export", "vosk", str(run), *TONES[:2]]) == 0
    vosk.SetLogLevel(-1)
    model = vosk.Model(str(run / "export" / "vosk-xx"))
    expected, words = read_ctm(run / "decode" / "test" / "words.ctm"), 0
    for wav in sorted((tones / "data" / "tones" / "wav").glob("test-*.wav")):
        ours, found = [w for w in expected if w.recording == wav.stem], heard(model, wav)
        assert [w["word"] for w in found] == [w.word for w in ours]
        for one, other in zip(found, ours, strict=True):
            assert one["start"] == pytest.approx(other.start, abs=NEAR)
        words += len(ours)
    assert words


def test_onnx_and_nnet1_of_a_factorised_network(tones, tmp_path, capsys):
    given = [
        *OWN_TONES,
        *paths(tones),
        *OWN_THIRD,
        *FACTORISED,
        "trainer.stopping.max_iterations=2",
    ]
    assert main(["train", *given, f"paths.exp={tmp_path}", "name=factorised"]) == 0
    run = tmp_path / "factorised"
    assert main(["export", "onnx", str(run), *TONES[:2]]) == 0
    session = onnxruntime.InferenceSession(str(run / "export" / "model.onnx"))
    model, _ = load_model(run / "model.safetensors")
    features = np.random.default_rng(0).normal(size=(20, model.feature_dim)).astype(np.float32)
    batch = FrameBatch(
        torch.from_numpy(features),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(20, dtype=torch.int64),
        torch.full((20,), 20),
    )
    expected = model.log_likelihoods(model.inputs(batch, torch.arange(0, 20, 3)))
    (found,) = session.run(["log_likelihoods"], {"features": features})
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-4)
    capsys.readouterr()
    assert main(["export", "nnet1", str(run), *TONES[:2]]) == 2
    assert "model.subsampling=3" in capsys.readouterr().err
