from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.run_folder import EXTENDABLE, RunFolder, differences

CONFIG = {
    "name": "a",
    "model": {"hidden_sizes": [512, 512], "activation": "sigmoid"},
    "trainer": {"stopping": {"max_iterations": 10}, "tolerance": 1e-5},
    "runtime": {"seed": 0, "threads": None},
}


def config(**changes):
    made = OmegaConf.create(CONFIG)
    for key, value in changes.items():
        OmegaConf.update(made, key.replace("__", "."), value)
    return OmegaConf.to_container(made)


@pytest.fixture
def begun(tmp_path):
    """A run folder in which a run has begun."""
    path = tmp_path / "run"
    with RunFolder.open(path, config()):
        (path / "events.jsonl").write_text('{"iteration": 0}\n')
    return path


def test_the_same_configuration_opens_the_folder_again(begun):
    for _ in range(2):
        with RunFolder.open(begun, config()) as folder:
            assert folder.path == begun


def test_another_configuration_is_refused_with_each_difference_and_the_remedy(begun):
    other = config(model__hidden_sizes=[256], runtime__seed=1)
    with pytest.raises(InputError) as caught:
        RunFolder.open(begun, other)
    text = str(caught.value)
    assert "model.hidden_sizes: [512, 512] -> [256]" in text
    assert "runtime.seed: 0 -> 1" in text
    assert "activation" not in text and "name=" in caught.value.remedy


def test_a_refused_configuration_changes_nothing_and_frees_the_folder(begun):
    before = (begun / "config.yaml").read_bytes()
    with pytest.raises(InputError):
        RunFolder.open(begun, config(runtime__seed=1))
    assert (begun / "config.yaml").read_bytes() == before
    RunFolder.open(begun, config()).__exit__(None, None, None)


def test_the_planned_end_may_be_moved_and_is_kept(begun):
    with RunFolder.open(begun, config(trainer__stopping__max_iterations=99)):
        kept = OmegaConf.load(begun / "config.yaml")
    assert kept.trainer.stopping.max_iterations == 99


def test_a_folder_in_which_no_run_has_begun_takes_another_configuration(tmp_path):
    with RunFolder.open(tmp_path, config()):
        pass
    with RunFolder.open(tmp_path, config(runtime__seed=1)):
        assert OmegaConf.load(tmp_path / "config.yaml").runtime.seed == 1


def test_a_setting_added_or_removed_counts_as_a_difference():
    assert differences({"a": 1}, {}) == ["a: 1 -> (absent)"]
    assert differences({}, {"a": {"b": 1}}) == ["a: (absent) -> {'b': 1}"]


TREE_OF_ONE_SEED = {
    "runtime": {"seed": 0},
    "corpus": {"name": "a", "train_set": "train"},
    "solver": {"steps": 5, "rule": {"k": 1}},
    "trainer": {"seed": "${runtime.seed}", "solver": "${solver}"},
    "lattices": {"sets": ["${corpus.train_set}"], "of": "${paths.exp}/${corpus.name}-x"},
    "paths": {"exp": "/exp"},
}


@pytest.mark.parametrize(
    ("change", "listed"),
    [
        ({"runtime.seed": 3}, ["runtime.seed: 0 -> 3"]),
        ({"solver.steps": 7}, ["solver.steps: 5 -> 7"]),
        (
            {"solver.rule": {"other": 2}},
            ["solver.rule.k: 1 -> (absent)", "solver.rule.other: (absent) -> 2"],
        ),
        ({"corpus.name": "b"}, ["corpus.name: a -> b"]),
        ({"corpus.train_set": "more"}, ["corpus.train_set: train -> more"]),
        # Where the source may change, what follows it may not.
        ({"paths.exp": "/new"}, ["lattices.of: /exp/a-x -> /new/a-x"]),
        # One that followed no more is a change of its own.
        ({"trainer.seed": 3}, ["trainer.seed: 0 -> 3"]),
        ({"runtime.seed": 3, "trainer.seed": 0}, ["runtime.seed: 0 -> 3"]),
        ({"runtime.seed": 3, "trainer.seed": 5}, ["runtime.seed: 0 -> 3", "trainer.seed: 0 -> 5"]),
    ],
)
def test_each_change_is_listed_once_where_it_comes_from(change, listed):
    before, after = OmegaConf.create(TREE_OF_ONE_SEED), OmegaConf.create(TREE_OF_ONE_SEED)
    for key, value in change.items():
        OmegaConf.update(after, key, value, merge=False)
    plain = [OmegaConf.to_container(tree, resolve=True) for tree in (before, after)]
    assert differences(*plain, OmegaConf.to_container(after, resolve=False)) == listed


def test_what_did_not_follow_before_is_listed_beside_what_it_follows_now():
    before, after = OmegaConf.create(TREE_OF_ONE_SEED), OmegaConf.create(TREE_OF_ONE_SEED)
    before.trainer.seed, after.runtime.seed = 9, 3
    plain = [OmegaConf.to_container(tree, resolve=True) for tree in (before, after)]
    assert differences(*plain, OmegaConf.to_container(after, resolve=False)) == [
        "runtime.seed: 0 -> 3",
        "trainer.seed: 9 -> 3",
    ]


def test_extendable_settings_are_no_difference():
    for key in EXTENDABLE:
        before, after = OmegaConf.create(), OmegaConf.create()
        OmegaConf.update(before, key, 1)
        OmegaConf.update(after, key, 2)
        assert differences(OmegaConf.to_container(before), OmegaConf.to_container(after)) == []


LEAF = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text("ab1.")
TREE = st.recursive(
    LEAF, lambda t: st.lists(t, max_size=2) | st.dictionaries(st.text("ab", min_size=1), t)
)


@settings(max_examples=40)
@given(tree=st.dictionaries(st.text("abc", min_size=1), TREE, max_size=4))
def test_a_configuration_differs_from_itself_nowhere_once_on_disk(tree, tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    (path / "events.jsonl").write_text("")
    for _ in range(2):
        with RunFolder.open(path, {"tree": tree}):
            pass


def test_two_runs_in_one_folder_are_refused_and_the_holder_is_named(tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from asr_hf.runtime.run_folder import RunFolder\n"
        "with RunFolder.open(Path(sys.argv[1]), {}):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"in use by process {holder.pid} on "):
            RunFolder.open(tmp_path, {})
        holder.kill()
        holder.wait()
        # A killed process leaves its lock file behind, but not the lock.
        with RunFolder.open(tmp_path, {}):
            assert f'"pid": {os.getpid()},' in (tmp_path / ".lock").read_text()


def test_half_written_files_of_a_killed_run_are_removed(begun):
    (begun / "checkpoints").mkdir()
    stale = [begun / ".config.yaml.12.tmp", begun / "checkpoints" / ".step-000001.ckpt.12.tmp"]
    for path in stale:
        path.write_text("half")
    with RunFolder.open(begun, config()):
        assert not any(path.exists() for path in stale)


def test_an_unreadable_configuration_is_named(begun):
    (begun / "config.yaml").write_text("a: [1, 2")
    with pytest.raises(InputError, match=r"config\.yaml: cannot be read"):
        RunFolder.open(begun, config())


def test_a_place_that_cannot_be_written_to_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/run: cannot be written"):
        RunFolder.open(tmp_path / "file" / "run", config())
