"""A model, a preconditioner, a criterion and a recipe of the user's own, by the command line."""

from __future__ import annotations

import json
import signal
import time

import numpy as np
import pytest
import torch

from asr_hf.data.ark import ArkReader
from asr_hf.data.store import FrameStore
from asr_hf.training.model_file import load_model

from .conftest import MINE, command

CLASS = "mine.models.Residual"
NAMED = [["model=residual"], [f"model._target_={CLASS}"]]


def test_from_the_recipe_to_words(asr_hf, root, trained):
    assert asr_hf("decode", "name=first", "model=residual").code == 0
    outcome = asr_hf("score", "name=first")
    assert outcome.code == 0
    for name in ("dev", "test"):
        result = json.loads((trained / "decode" / name / "result.json").read_text())
        assert result["words"] == 36 and result["percent"] < 15
    report = (trained / "report.html").read_text()
    assert "running diagonal" in report and "smoothed cross entropy" in report


def test_loglikes_and_priors_are_exported(asr_hf, root, trained):
    assert asr_hf("export loglikes", "name=first", "model=residual", "export.sets=[dev]").code == 0
    assert asr_hf("export priors", "name=first", "model=residual").code == 0
    model, _ = load_model(trained / "model.safetensors", CLASS)
    store = FrameStore.open(root / "data/tones/store/dev")
    written = ArkReader(trained / "export/dev/loglikes.scp")
    for unit in range(3):
        batch = store.gather(np.array([unit]), torch.device("cpu"))
        expected = model.log_likelihoods(model.inputs(batch)).numpy()
        assert written[store.utterances[unit]] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("form", ["nnet1", "nnet3", "onnx"])
def test_forms_that_no_model_of_one_s_own_has_are_refused(asr_hf, trained, form):
    outcome = asr_hf(f"export {form}", "name=first", "model=residual")
    assert outcome.code == 2 and "loglikes and priors" in outcome.err


def test_a_killed_run_goes_on_to_the_same_bytes(asr_hf, root, trained):
    run = root / "exp" / "cut"
    going = command(root, "train", *MINE, "name=cut")
    deadline = time.monotonic() + 120
    while len(list((run / "checkpoints").glob("*.ckpt"))) < 2 and going.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    going.send_signal(signal.SIGKILL)
    going.communicate()
    again = asr_hf("train", *MINE, "name=cut")
    assert again.code == 0, again.err
    assert (run / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


def test_several_processes_find_the_package(root, trained):
    limits = ["name=two", "runtime.processes=2", "trainer.stopping.max_iterations=1"]
    going = command(root, "train", *MINE, *limits)
    said = going.communicate()[1]
    assert going.returncode == 0, said
    assert (root / "exp/two/model.safetensors").is_file()


VERBS = {
    "decode": ["name=first"],
    "export loglikes": ["name=first", "export.sets=[dev]"],
    "export priors": ["name=first"],
    "align": ["alignment.from_run={run}", "alignment.tag=again"],
    "lattices": ["lattices.from_run={run}", "lattices.sets=[dev]"],
    "train": ["name=further", "init_from={run}", "trainer.stopping.max_iterations=1"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_class_that_the_command_does_not_name_is_not_loaded(asr_hf, trained, verb):
    given = [one.format(run=trained) for one in VERBS[verb]]
    outcome = asr_hf(verb, *given)
    assert outcome.code == 2
    assert f"{trained}/" in outcome.err and CLASS in outcome.err
    assert f"add model._target_={CLASS}" in outcome.err and "--config-dir" in outcome.err


@pytest.mark.parametrize("verb", VERBS)
def test_a_class_that_the_command_names_is_loaded(asr_hf, trained, verb):
    given = [one.format(run=trained) for one in VERBS[verb]]
    outcome = asr_hf(verb, *given, *NAMED[list(VERBS).index(verb) % 2])
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("named", [[], *NAMED], ids=["unnamed", "option", "target"])
def test_validate_reads_a_model_of_a_class_that_it_is_told(trained, capsys, named):
    from asr_hf.cli.main import main

    from .conftest import CONF

    code = main(["validate", str(trained), "--config-dir", str(CONF), *named])
    said = capsys.readouterr().out
    assert code == (0 if named else 2)
    assert named or f"add model._target_={CLASS}" in said


@pytest.mark.parametrize(("name", "method"), [("kfac", "K-FAC"), ("kfac_lbfgs", "K-FAC")])
def test_parameters_that_kfac_does_not_know_are_named_once(asr_hf, trained, name, method):
    options = [one for one in MINE if not one.startswith("preconditioner")]
    limits = [f"preconditioner={name}", "trainer.stopping.max_iterations=2"]
    outcome = asr_hf("train", *options, f"name={name}", *limits)
    assert outcome.code == 0, outcome.err
    said = [line for line in outcome.err.splitlines() if method in line]
    assert len(said) == 1 and "the identity stands for the curvature of scales" in said[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["runtime.curvature_path=r_operator"], "no plain DNN"),
        (["pretraining=layerwise"], "layer by layer"),
        (["export.format=nnet3"], "no such form of mine.models.Residual"),
        (["+model.width_=3"], "did you mean model.width?"),
        (["~model.width"], "model.width: Residual needs it"),
        (["model.width=wide"], "a number or null belongs"),
        (["model.width=1.5"], "width: 1.5, expected a whole number"),
        (["+model.depth_.x=1"], "no such setting"),
        (["model._target_=mine.models.nn"], "is no class"),
        (["model._target_=mine.models.FrameBatch"], "no acoustic model"),
        (["model._target_=mine.models.AcousticModel"], "no method inputs"),
        (["model._target_=mine.nowhere.Residual"], "cannot be imported"),
        (["model._target_=Residual"], "no full name"),
        (["model._target_=no_such_package.Residual"], "PYTHONPATH"),
        (["criterion._target_=mine.recipe.Utterance"], "has no loss, gradient"),
        (["preconditioner._target_=mine.criteria.SmoothedCrossEntropy"], "has no memory"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_it(asr_hf, root, trained, given, said):
    # Overrides of options come first, as on a command line.
    options = [one for one in MINE if one.partition("=")[0] != given[0].partition("=")[0]]
    outcome = asr_hf("train", *options, "name=never", *given)
    assert outcome.code == 2 and said in outcome.err, outcome.err
    assert not (root / "exp/never/events.jsonl").exists()


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("mine.models", "makes no corpus"),
        ("mine.nowhere", "cannot be imported"),
        ("mine", "the full name of a module of your own"),
        ("promts", "did you mean 'prompts'"),
    ],
)
def test_a_recipe_of_one_s_own_that_is_none_is_refused(asr_hf, recipe, said):
    outcome = asr_hf("prepare", f"corpus.recipe={recipe}", "corpus.name=other")
    assert outcome.code == 2 and said in outcome.err, outcome.err
