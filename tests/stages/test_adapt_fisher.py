"""What asr-hf adapt keeps of the old network by its Fisher matrix, on words of tones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from asr_hf.cli.adaptation import adaptation
from asr_hf.cli.main import main
from asr_hf.cli.typed import settings_of
from asr_hf.runtime import artefact
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.events import read_events
from asr_hf.runtime.provenance import file_digest
from asr_hf.stages.adaptation.fisher import can_measure, keep_fisher
from asr_hf.stages.training.old_fisher import fisher_origin
from asr_hf.training.model_file import load_model, save_model

from .test_adapt import adapted, arguments, refused, root, rows_of, usual_arguments

__all__ = ["adapted", "refused", "root"]

FISHER = ["trainer.pull_fisher=0.3", "trainer.pull=0.001", "adapt.fisher_frames=500"]
LAST = "trainer.stopping.max_iterations=2"


def record(run: Path) -> artefact.Artefact:
    return artefact.read(run / "fisher")


def measure(root: Path, *given: str) -> artefact.Artefact:
    """Only the part of the command that measures; no run is begun."""
    task = adaptation(arguments(root, *FISHER, "name=measured", *given))
    keep_fisher(settings_of(task.new), settings_of(task.old))
    return record(root / "exp/measured")


@pytest.fixture
def pulled(root):
    """(name, overrides) -> the run folder of an adaptation under such a pull."""

    def make(name: str, *given: str) -> Path:
        assert main(["adapt", *arguments(root, *FISHER, f"name={name}", *given)]) == 0
        return root / "exp" / name

    return make


def test_the_new_voice_is_learnt_and_less_of_the_old_is_lost(root, pulled):
    run = pulled("pulled")
    rows = rows_of(run)
    new, old = rows["voice", "test"], rows["tones", "test"]
    assert new["before"]["percent"] > 15 and new["relative"] < -30
    assert old["after"]["percent"] <= old["before"]["percent"] + 6
    known = record(run)
    assert known.settings == {"adapt.fisher_frames": 500, "runtime.seed": 0}
    assert known.sources["network"].digest == file_digest(root / "exp/first/model.safetensors")
    assert known.sources["frame store"].folder == str(root / "data/tones/store/train")
    assert 300 < known.about["frames"] < 800 and known.about["layers"] == 2
    assert "Fisher matrix" in json.loads((run / "inputs.json").read_text())


def test_a_killed_adaptation_goes_on_to_the_same_model_without_the_old_frames(root, pulled):
    """Once their Fisher matrix was measured, nobody needs them."""
    patient = "trainer.stopping.patience=0"
    whole = pulled("whole", patient, "trainer.stopping.max_iterations=4")
    parts = pulled("parts", patient, LAST)
    kept = (parts / "fisher/artefact.json").stat().st_mtime_ns
    shutil.rmtree(root / "data/tones/store/train")
    pulled("parts", patient, "trainer.stopping.max_iterations=4")
    assert (parts / "fisher/artefact.json").stat().st_mtime_ns == kept
    models = [(run / "model.safetensors").read_bytes() for run in (whole, parts)]
    assert models[0] == models[1]
    assert len(read_events(parts / "events.jsonl")) == 5


def test_an_adaptation_that_begins_without_the_old_frames_is_told_what_to_do(root, refused):
    shutil.rmtree(root / "data/tones/store/train")
    said = refused(*arguments(root, *FISHER, "name=late"))
    assert f"{root}/data/tones/store/train: the frames that {root}/exp/first" in said
    assert "asr-hf prepare, features and align with +recipe=tones" in said
    assert "trainer.pull_fisher=0" in said


def trainer_of(run: Path) -> dict:
    return yaml.safe_load((run / "config.yaml").read_text())["trainer"]


def test_it_holds_the_network_by_default(root):
    assert main(["adapt", *usual_arguments(root, "name=usual", LAST)]) == 0
    run = root / "exp/usual"
    trainer = trainer_of(run)
    assert trainer["pull_fisher"] > 0 and 0 < trainer["pull"] < 0.03
    assert record(run).about["layers"] == 2
    short = adaptation(usual_arguments(root, "trainer=hf_stochastic")).new.trainer
    assert [short.pull_fisher, short.pull] == [trainer["pull_fisher"], trainer["pull"]]


def test_without_the_old_frames_all_parameters_are_held_alike_and_the_log_says_so(root, capfd):
    shutil.rmtree(root / "data/tones/store/train")
    assert main(["adapt", *usual_arguments(root, "name=alike", LAST)]) == 0
    said = "".join(capfd.readouterr())
    assert "trainer.pull_fisher=0: the pull holds all parameters alike" in said
    assert f"{root}/data/tones/store/train: the frames that {root}/exp/first" in said
    run = root / "exp/alike"
    usual = trainer_of(root / "exp/first-voice")
    assert trainer_of(run)["pull_fisher"] == 0 and trainer_of(run)["pull"] == usual["pull"] > 0
    assert not (run / "fisher").exists()


def test_a_network_without_affine_layers_is_held_alike(root, monkeypatch):
    monkeypatch.setattr("asr_hf.models.acoustic.AcousticModel.affine_layers", lambda model: {})
    task = adaptation(usual_arguments(root))
    settings, old = settings_of(task.new), settings_of(task.old)
    assert not can_measure(settings, old, asked=False)
    with pytest.raises(InputError, match="no fully connected layer"):
        can_measure(settings, old, asked=True)


def test_hidden_layers_under_new_states_are_held_alike(root):
    new = adaptation(usual_arguments(root, "adapt.states=new")).new
    assert new.trainer.pull_fisher == 0


def shrink(root: Path) -> Path:
    """Make another network of the old run's."""
    path = root / "exp/first/model.safetensors"
    model, about = load_model(path)
    with torch.no_grad():
        model.flat.mul_(0.9)
    save_model(path, model, settings_of(adaptation(arguments(root)).old).model.tree, about)
    return path


def test_it_is_measured_anew_for_another_network_seed_or_number_of_frames(root):
    first = measure(root)
    assert measure(root).digest == first.digest
    assert measure(root, "adapt.fisher_frames=200").about["frames"] < 300
    assert measure(root, "runtime.seed=1").digest != first.digest
    assert measure(root).digest == first.digest
    path = shrink(root)
    changed = measure(root)
    assert changed.digest != first.digest
    assert changed.sources["network"].digest == file_digest(path)


def test_a_damaged_one_is_measured_anew(root):
    before = measure(root)
    path = before.folder / "fisher.safetensors"
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    assert measure(root).digest == before.digest


def test_training_asks_for_the_command_that_measures(root):
    settings = settings_of(adaptation(arguments(root, *FISHER, "name=measured")).new)
    with pytest.raises(InputError, match=r"exp/measured/fisher is not there") as caught:
        fisher_origin(settings)
    assert "asr-hf adapt" in caught.value.remedy
    measure(root)
    before = fisher_origin(settings)
    assert fisher_origin(settings) == before and list(before) == ["Fisher matrix"]
    shrink(root)
    with pytest.raises(InputError, match="the Fisher matrix of another model than"):
        fisher_origin(settings)
    assert fisher_origin(settings.changed("trainer.pull_fisher", 0.0)) == {}


def test_no_frames_are_refused(root, refused):
    said = refused(*arguments(root, *FISHER, "adapt.fisher_frames=0", "name=none"))
    assert "adapt.fisher_frames=0" in said


def test_short_steps_take_it(pulled):
    run = pulled("with", "trainer=hf_stochastic", "trainer.horizon.epochs=1")
    assert any(event.get("iteration") for event in read_events(run / "events.jsonl"))


def test_new_states_take_the_hidden_layers_alone(root):
    """Those are held; the new output layer is free."""
    lexicon = root / "other.txt"
    phones = {"la": "o1", "mi": "o2", "so": "o3", "ti": "o4"}
    words = [(a, b) for a in phones for b in phones if a != b]
    lexicon.write_text("".join(f"{a}{b} {phones[a]} {phones[b]}\n" for a, b in words))
    ways = {}
    for strength in (1, 1000):
        given = ["adapt.states=new", f"corpus.lexicon={lexicon}", "corpus.name=other"]
        given += [f"trainer.pull_fisher={strength}", "trainer.pull=0", f"name=new{strength}"]
        given += ["alignment.iterations=6", "alignment.gaussians=40"]
        given += ["decode.acoustic_scales=[0.3]", "trainer.stopping.max_iterations=6"]
        assert main(["adapt", *arguments(root, *given)]) == 0
        before = load_model(root / "exp/first/model.safetensors")[0]
        after = load_model(root / f"exp/new{strength}/model.safetensors")[0]
        first = "layers.0.weight"
        away = after.get_parameter(first) - before.get_parameter(first)
        ways[strength] = float(away.detach().norm())
    assert ways[1000] < 0.5 * ways[1]
