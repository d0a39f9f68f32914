from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from asr_hf.cli.compose import load_config
from asr_hf.cli.suggest import groups
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import conf_dir
from asr_hf.runtime.run_config import (
    built_in_targets,
    named_in,
    read_plain_yaml,
    read_run_config,
)
from asr_hf.runtime.run_folder import RunFolder


def write(folder, text):
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folder


OPTIONS = [
    *([f"+recipe={one}"] for one in groups()["recipe"]),
    *(["+recipe=prompts", f"+preset={one}"] for one in groups()["preset"]),
    *(["+recipe=prompts", f"+stage={one}", "init_from=exp/x"] for one in groups()["stage"]),
    *(["+recipe=prompts", f"trainer={one}"] for one in ("sgd", "adamw", "muon", "lbfgs")),
    ["+recipe=prompts", "model=tdnn", "pretraining=layerwise", "acceptance=paired_test"],
    ["+recipe=prompts", "name='1e5'", "corpus.languages=['no']", "alignment.tag='2024-01-01'"],
]


@pytest.mark.parametrize("overrides", OPTIONS, ids=" ".join)
def test_what_a_run_keeps_is_read_back_as_it_was(tmp_path, overrides):
    config = load_config([*overrides, f"paths.exp={tmp_path}", "paths.data='données'"])
    folder = tmp_path / config.name
    with RunFolder.open(folder, OmegaConf.to_container(config, resolve=True)):
        pass
    found = read_run_config(folder)
    assert found == OmegaConf.to_container(config, resolve=True)
    assert OmegaConf.create(found) == OmegaConf.create(OmegaConf.to_container(config, resolve=True))


def test_the_closed_list_holds_every_class_of_the_tree():
    named = set()
    for path in conf_dir().rglob("*.yaml"):
        for line in path.read_text().splitlines():
            key, _, value = line.strip().partition(": ")
            named |= {value} if key == "_target_" else set()
    assert len(named) > 20 and named <= built_in_targets()
    assert all(name.startswith("asr_hf.") for name in built_in_targets())


CODE = {
    "a function": ("model:\n  _target_: os.system\n  command: touch x\n", "model._target_"),
    "a walk": (
        "model:\n  _target_: asr_hf.models.acoustic.torch.hub.load\n",
        "asr_hf.models.acoustic.torch.hub.load",
    ),
    "one of ours that no option names": (
        "trainer:\n  _target_: asr_hf.runtime.launch.run_processes\n",
        "trainer._target_",
    ),
    "in a list": ("decode:\n  sets:\n  - _target_: os.system\n", "decode.sets._target_"),
    "of no text": ("model:\n  _target_: [os.system]\n", "model._target_"),
    "of no value": ("model:\n  _target_:\n", "model._target_"),
    "positional": ("model:\n  _args_: [touch x]\n", "model._args_"),
    "recursion": ("model:\n  _recursive_: true\n", "model._recursive_"),
    "a partial that is none": ("model:\n  _partial_: os.system\n", "model._partial_"),
    "a recipe": ("corpus:\n  recipe: evil.recipe\n", "corpus.recipe"),
    "a recipe elsewhere": ("corpus:\n  recipe: ../evil\n", "corpus.recipe"),
    "a reference": ("name: ${oc.env:SECRET}\n", "name"),
    "a reference in a list": ("decode:\n  sets: ['${oc.env:SECRET}']\n", "decode.sets"),
    "a reference as a key": ("corpus:\n  decode_data: {'${name}': x}\n", "${name}"),
    "hydra": ("hydra:\n  searchpath: [file:///evil]\n", "hydra"),
    "defaults": ("defaults:\n- /model: evil\n", "defaults"),
    "a tag": ("alignment:\n  tag: ../elsewhere\n", "alignment.tag"),
    "a set": ("decode:\n  sets: [dev, ../../.ssh]\n", "decode.sets"),
    "the set of a set": (
        "corpus:\n  augmentation:\n    sets:\n      dev: {of: /etc}\n",
        "corpus.augmentation.sets.dev.of",
    ),
    "a named set": ("corpus:\n  decode_data: {../../x: d}\n", "corpus.decode_data"),
    "python": ("name: !!python/object/apply:os.system [touch x]\n", "cannot be read"),
    "python name": ("name: !!python/name:os.system\n", "cannot be read"),
    "bytes": ("name: !!binary aGFsbG8=\n", "a bytes"),
    "a date": ("name: 2024-01-01\n", "a date"),
    "no settings": ("- a\n- b\n", "not a configuration"),
    "damaged": ("name: [\n", "cannot be read"),
    "not UTF-8": ("", "cannot be read"),
    "too long": ("name: " + "x" * 2_000_000, "bytes"),
    "too deep": ("name: " + "[" * 50_000, "cannot be read"),
}


@pytest.mark.parametrize("name", CODE)
def test_what_is_no_data_is_refused_by_name(tmp_path, name, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    text, said = CODE[name]
    write(tmp_path, text)
    if name == "not UTF-8":
        (tmp_path / "config.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(InputError) as error:
        read_run_config(tmp_path)
    assert f"{tmp_path}/config.yaml" in str(error.value) and said in str(error.value)
    assert "hunter2" not in str(error.value) and len(str(error.value)) < 2000


def test_anchors_that_would_grow_to_gigabytes_are_refused_at_once(tmp_path):
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    start = time.monotonic()
    with pytest.raises(InputError, match="an alias in line 2"):
        read_run_config(write(tmp_path, "\n".join(lines)))
    assert time.monotonic() - start < 1


def test_a_missing_configuration_is_named(tmp_path):
    with pytest.raises(InputError, match=r"config.yaml: cannot be read"):
        read_run_config(tmp_path)


def test_shells_are_not_turned_on_by_a_run_and_it_says_so(tmp_path, caplog):
    write(tmp_path, "features:\n  allow_pipes: true\n  jobs: 3\n")
    assert read_run_config(tmp_path) == {"features": {"allow_pipes": False, "jobs": 3}}
    assert "features.allow_pipes" in caplog.text
    for quoted in ("yes", "'true'", "1"):
        write(tmp_path, f"features:\n  allow_pipes: {quoted}\n")
        assert read_run_config(tmp_path)["features"]["allow_pipes"] is False


def test_the_run_folder_is_where_the_file_stands(tmp_path):
    write(tmp_path, "run_dir: /home/user/.ssh\n")
    assert read_run_config(tmp_path)["run_dir"] == str(tmp_path)


def test_what_this_command_names_may_stand_in_the_file(tmp_path):
    write(tmp_path, "model:\n  _target_: mine.Model\ncorpus:\n  recipe: mine.recipe\n")
    command = {
        "model": {"_target_": "mine.Model"},
        "corpus": {"recipe": "mine.recipe"},
        "n": "${model}",
    }
    assert named_in(command) == {"mine.Model", "mine.recipe"}
    assert read_run_config(tmp_path, named_in(command))["corpus"] == {"recipe": "mine.recipe"}
    for missing in named_in(command):
        with pytest.raises(InputError, match=rf"{missing}' is no(.|\n)*add (model|corpus)\."):
            read_run_config(tmp_path, named_in(command) - {missing})


def test_sections_that_are_not_wanted_are_not_looked_at(tmp_path):
    write(tmp_path, "model:\n  _target_: mine.Model\nalignment:\n  tag: again\n")
    assert read_run_config(tmp_path, sections=["alignment"]) == {"alignment": {"tag": "again"}}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=st.dictionaries(st.text(), VALUES, max_size=4))
def test_any_plain_values_are_read_as_safe_yaml_reads_them(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("plain") / "config.yaml"
    text = yaml.safe_dump(value)
    path.write_text(text, encoding="utf-8")
    assert read_plain_yaml(path) == yaml.safe_load(text)
