"""Run folders of strangers: nothing in them is code, whatever verb reads them."""

from __future__ import annotations

import hashlib
import pickle

import pytest
import torch

from asr_hf.runtime.errors import InputError
from asr_hf.training.model_file import load_model

from .conftest import Pickled, point_at, read_header, write_model

# Every verb that reads a model from a run folder.
DOORS = {
    "validate": ["{run}"],
    "train": ["name=second", "init_from={run}"],
    "decode": ["name=first"],
    "export loglikes": ["name=first"],
    "export priors": ["name=first"],
    "export nnet1": ["name=first"],
    "export nnet3": ["name=first"],
    "export onnx": ["name=first"],
    "align": ["alignment.from_run={run}", "alignment.tag=again"],
    "lattices": ["lattices.from_run={run}", "lattices.tag=again"],
}


def hub(place):
    """The attack that was found: Hydra walks on from a module of ours to torch.hub."""
    settings = {"repo_or_dir": str(place.marker.parent / "hub"), "model": "entry"}
    return {
        "kind": "asr_hf.models.acoustic.torch.hub.load",
        "settings": settings | {"source": "local", "trust_repo": True},
    }


def hub_of_before(place):
    """The same in the header of before."""
    made = hub(place)
    config = {"_target_": made["kind"], **made["settings"]}
    return {"format": "asr-hf-model-1", "config": config, "kind": None, "settings": None}


HEADERS = {
    "torch.hub": hub,
    "torch.hub in the header of before": hub_of_before,
    "shell": lambda place: {"kind": "os.system", "settings": {"command": place.touch}},
    "process": lambda place: {
        "kind": "subprocess.Popen",
        "settings": {"args": place.touch, "shell": True},
    },
    "module that is imported": lambda place: {"kind": "evil.Model", "settings": {}},
    "class of ours that is no model": lambda place: {
        "kind": "asr_hf.models.flat.FlatModule",
        "settings": {},
    },
    "builtin": lambda place: {
        "kind": "eval",
        "settings": {"source": f"open({str(place.marker)!r}, 'w')"},
    },
    "object in a setting": lambda place: {
        "kind": "dnn",
        "settings": {
            "hidden_sizes": [8],
            "activation": {"_target_": "os.system", "command": place.touch},
        },
    },
    "object in a list": lambda place: {
        "kind": "dnn",
        "settings": {"hidden_sizes": [{"_target_": "os.system", "_args_": [place.touch]}]},
    },
    "reference": lambda place: {
        "kind": "dnn",
        "settings": {"hidden_sizes": [8], "activation": "${oc.env:SECRET}"},
    },
    "setting of another type": lambda place: {
        "kind": "dnn",
        "settings": {"hidden_sizes": "99999999"},
    },
    "unknown setting": lambda place: {
        "kind": "dnn",
        "settings": {"hidden_sizes": [8], "_recursive_": True},
    },
    "what the data decide": lambda place: {
        "kind": "dnn",
        "settings": {"hidden_sizes": [8], "num_pdfs": 3},
    },
}


def attack(place, name):
    path = place.run / "model.safetensors"
    changed = read_header(path) | HEADERS[name](place)
    write_model(path, {k: v for k, v in changed.items() if v is not None})
    return path


@pytest.mark.parametrize("name", HEADERS)
def test_a_model_file_names_no_code(place, call, name):
    path = attack(place, name)
    outcome = call("validate", str(place.run))
    assert outcome.code == 2 and f"{path}: " in outcome.said


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", ["torch.hub", "module that is imported", "object in a setting"])
def test_no_verb_runs_what_a_model_file_names(place, call, door, name):
    path = attack(place, name)
    outcome = call(door, *(one.format(run=place.run) for one in DOORS[door]))
    assert outcome.code == 2 and f"{path}: " in outcome.said


def test_the_doors_are_open_to_what_is_ours(place, call):
    """The tests above rest on this: each verb comes as far as reading the model."""
    for door, given in DOORS.items():
        outcome = call(door, *(one.format(run=place.run) for one in given))
        assert outcome.code == 0, outcome.said


def test_another_class_that_the_command_names_opens_no_door(place):
    path = attack(place, "module that is imported")
    for named in ("asr_hf.models.dnn.DNN", "os.system", "evil.Other", None):
        with pytest.raises(InputError, match="does not name"):
            load_model(path, named)
    assert not place.marker.exists()


def test_a_model_in_pickle_is_refused(place, call):
    path = place.run / "model.safetensors"
    torch.save({"model": Pickled(place.marker)}, path)
    for door, given in DOORS.items():
        outcome = call(door, *(one.format(run=place.run) for one in given))
        assert outcome.code == 2 and f"{path}: " in outcome.said


@pytest.mark.parametrize("sealed", [False, True])
def test_a_checkpoint_in_pickle_is_refused(place, call, sealed):
    body = pickle.dumps(Pickled(place.marker))
    for path in (place.run / "checkpoints").glob("*.ckpt"):
        path.write_bytes((hashlib.sha256(body).digest() if sealed else b"") + body)
    outcome = call("train", "name=first")
    assert outcome.code == 2 and str(place.run / "checkpoints") in outcome.said


CONFIGS = {
    "shell": "alignment:\n  tag: null\n  _target_: os.system\n  command: {touch}\n",
    "reference": "alignment:\n  tag: ${{oc.env:SECRET}}\n",
    "python": "alignment: !!python/object/apply:os.system ['{touch}']\n",
    "python name": "alignment:\n  tag: !!python/name:os.system\n",
    "path": "alignment:\n  tag: ../../../elsewhere\n",
    "anchors": "alignment: &a [x, x]\nother: [*a, *a]\n",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_names_no_code(place, call, name):
    path = place.run / "config.yaml"
    path.write_text(CONFIGS[name].format(touch=place.touch))
    outcome = call("align", f"alignment.from_run={place.run}", "alignment.tag=again")
    assert outcome.code == 2 and f"{path}: " in outcome.said
    # The report and a run that would go on read it as well.
    for verb in ("score", "train"):
        assert call(verb, "name=first").code in (0, 2)
    assert "hunter2" not in (place.run / "report.html").read_text()


def test_a_configuration_turns_no_shell_on(place, call):
    config = place.run / "config.yaml"
    config.write_text(config.read_text().replace("allow_pipes: false", "allow_pipes: true"))
    point_at(place.corpus / "train" / "wav.scp", f"{place.touch} |")
    outcome = call("features")
    assert outcome.code == 2 and "features.allow_pipes=true" in outcome.said
