"""asr-hf export on a network trained from a Kaldi experiment, and on a decoded set."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import kaldiio
import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf

from asr_hf.cli.compose import load_config
from asr_hf.cli.main import main
from asr_hf.data.ark import ArkReader
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.store import FrameStore
from asr_hf.kaldi.reader import KaldiReader
from asr_hf.kaldi.transition_model import read_transition_model
from asr_hf.runtime.errors import InputError
from asr_hf.stages import export
from asr_hf.training.model_file import load_model
from asr_hf.training.posteriors import batches_of, log_likelihoods

from ..kaldi.experiments import arguments, make_experiment
from ..kaldi.test_network import Nnet3, run_nnet1
from ..typed import typed


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, real: SimpleNamespace) -> Path:
    """A trained run, and every kind of export of it."""
    made = make_experiment(tmp_path_factory.mktemp("kaldi") / "s5", real, binary=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.root)
        assert main(["train", *arguments()]) == 0
        more = ["+corpus.decode_data.eval=data/train", "export.sets=[dev,eval]"]
        assert main(["export", "priors", *arguments(*more)]) == 0
        config = load_config(arguments(*more))
        for name in ("nnet1", "nnet3", "onnx", "loglikes"):
            config.export.format = name
            assert all(path.is_file() for path in export.run(typed(config))["files"])
        config.export.text, config.export.sets = True, ["dev"]
        export.run(typed(config))
    return made.root


CPU = torch.device("cpu")


def scores(root: Path, name: str) -> dict[str, np.ndarray]:

    model, _ = load_model(root / "exp/kaldi/model.safetensors")
    store = FrameStore.open(root / "stores/kaldi/store" / name)
    return dict(log_likelihoods(model, batches_of(store, CPU), CPU))


def frames(root: Path, name: str) -> dict[str, np.ndarray]:
    store = FrameStore.open(root / "stores/kaldi/store" / name)
    return {u: store.read(np.array([i])).features.numpy() for i, u in enumerate(store.utterances)}


def test_log_likelihoods(root: Path) -> None:
    folder = root / "exp/kaldi/export"
    for name, count in (("dev", None), ("eval", 24)):
        right = scores(root, name)
        assert count in (None, len(right))
        found = ArkReader(folder / name / "loglikes.scp")
        assert list(found) == list(right)
        for utterance, matrix in right.items():
            np.testing.assert_array_equal(found[utterance], matrix)
    text = dict(kaldiio.load_ark(str(folder / "dev/loglikes.txt")))
    for utterance, matrix in scores(root, "dev").items():
        np.testing.assert_allclose(text[utterance], matrix, rtol=1e-6)


def test_priors_and_networks_agree_with_the_scores(root: Path) -> None:
    folder = root / "exp/kaldi/export"
    # nnet1's export writes them as text, in place of the binary ones of before.
    priors = KaldiReader.open(folder / "priors.vec").vector("priors")
    assert priors.sum() == pytest.approx(1)
    nnet1 = (folder / "final.nnet").read_text()
    nnet3 = (folder / "final.raw").read_text()
    right, x = scores(root, "dev"), frames(root, "dev")
    for utterance, matrix in list(right.items())[:3]:
        posteriors = run_nnet1(nnet1, x[utterance].astype(np.float64))
        np.testing.assert_allclose(np.log(posteriors) - np.log(priors), matrix, atol=2e-5)
        found = Nnet3(nnet3, x[utterance]).run()
        np.testing.assert_allclose(found - np.log(priors), matrix, atol=2e-5)


def test_nnet3_model_holds_the_transition_model(root: Path, real: SimpleNamespace) -> None:
    path = root / "exp/kaldi/export/final.mdl"
    transitions = read_transition_model(path)
    assert transitions.num_pdfs == real.transitions.num_pdfs
    rest = path.read_text().partition("</TransitionModel> \n")[2]
    assert rest.startswith((root / "exp/kaldi/export/final.raw").read_text() + "<LeftContext> 1 ")


def test_unknown_formats_and_missing_models_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "onx", "+recipe=prompts"]) == 2
    assert "did you mean 'onnx'" in capsys.readouterr().err
    assert main(["export"]) == 2
    assert main(["export", "priors", "+recipe=prompts"]) == 2
    assert "there is no trained model" in capsys.readouterr().err


def test_ctm_and_stm_in_times_of_the_recordings(tmp_path: Path) -> None:
    rate = 8000
    soundfile.write(tmp_path / "b.wav", np.zeros(3 * rate), rate)
    utterances = [
        Utterance("a-1", "spk", "a", 1, 1.5, 2.5, "one two"),
        Utterance("b", "spk", "b", text=""),
    ]
    data = DataDir(
        tmp_path / "corpus/test", utterances, {"a": "a.wav", "b": str(tmp_path / "b.wav")}
    )
    data.write()
    run_dir = tmp_path / "run"
    (run_dir / "decode/test").mkdir(parents=True)
    (run_dir / "decode/test/words.ctm").write_text("a-1 1 0.25 0.5 one\nb 1 1.0 0.3 uh\n")
    (run_dir / "decode/test/hyp.txt").write_text("a-1 one\nb uh\n")
    config = OmegaConf.create(
        {
            "run_dir": str(run_dir),
            "corpus": {"dir": str(tmp_path / "corpus")},
            "export": {"format": "ctm", "sets": ["test"], "text": False},
        }
    )
    (ctm,) = export.run(typed(config))["files"]
    assert ctm.read_text() == "a B 1.75 0.50 one\nb A 1.00 0.30 uh\n"
    config.export.format = "stm"
    (stm,) = export.run(typed(config))["files"]
    assert stm.read_text() == "a B spk 1.50 2.50 one two\nb A spk 0.00 3.00\n"
    (run_dir / "decode/test/words.ctm").write_text("c 1 0.25 0.5 one\n")
    config.export.format = "ctm"
    with pytest.raises(InputError, match="c: decoded, but no such utterance"):
        export.run(typed(config))
