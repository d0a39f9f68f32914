"""Commands on a run: they start from its own settings, and take nothing dangerous from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from asr_hf.cli.compose import load_config
from asr_hf.cli.run_settings import load_run_config
from asr_hf.runtime.errors import InputError

STEPS = "trainer.stopping.max_iterations=1"


@pytest.fixture
def run(asr_hf, corpus, tmp_path) -> Path:
    outcome = asr_hf("train", *corpus, STEPS, "name=first", "decode.jobs=2", "model.left=2")
    assert outcome.code == 0, outcome.err
    return tmp_path / "exp" / "first"


def plain(config) -> dict:
    return OmegaConf.to_container(config, resolve=True)


def saved(run: Path) -> dict:
    return yaml.safe_load((run / "config.yaml").read_text())


def edit(run: Path, change) -> None:
    found = saved(run)
    change(found)
    (run / "config.yaml").write_text(yaml.safe_dump(found))


def test_a_run_folder_is_all_that_is_needed(run):
    assert plain(load_run_config([str(run)])) == saved(run)


@pytest.mark.parametrize(
    ("given", "key", "follow"),
    [
        ("decode.beam=9", "decode.beam", set()),
        # What is exported is what is decoded, and samples belong to the trainer.
        ("decode.sets=[test]", "decode.sets", {"export"}),
        ("sampling=geometric", "sampling._target_", {"trainer"}),
        ("decode.jobs=1", "decode.jobs", set()),
    ],
)
def test_what_is_given_beside_it_is_what_changes(run, given, key, follow):
    before, after = saved(run), plain(load_run_config([str(run), given]))
    changed = {group for group in before if before[group] != after[group]}
    assert changed == {key.partition(".")[0], "command"} | follow
    rest = [one for one in before["command"] if not one.startswith(given.partition("=")[0] + "=")]
    whole = load_config([*rest, given])
    assert OmegaConf.select(whole, key) == OmegaConf.select(OmegaConf.create(after), key)


def test_by_name_the_settings_are_the_runs_too(run, corpus):
    named = load_run_config([corpus[0], corpus[-1], "name=first"])
    assert plain(named) == saved(run)


def test_a_value_that_this_version_would_choose_otherwise_stays_the_runs(run):
    edit(run, lambda found: found["decode"].update(beam=17.5))
    assert load_run_config([str(run), "decode.jobs=1"]).decode.beam == 17.5


def test_a_run_that_was_moved_is_where_it_is_now(run, tmp_path):
    shutil.move(run, tmp_path / "elsewhere")
    assert load_run_config(["elsewhere"]).run_dir == str(tmp_path / "elsewhere")


def test_a_project_that_was_moved_is_whole_where_it_is_now(run, tmp_path):
    new = tmp_path / "elsewhere"
    new.mkdir()
    for name in ("data", "exp"):
        shutil.copytree(tmp_path / name, new / name)
    config = load_run_config([str(new / "exp" / "first")])
    assert config.corpus.dir == str(new / "data" / "prompts")
    assert config.paths.data == str(new / "data") and config.paths.exp == str(new / "exp")
    # A run alone still belongs to the data that are where they were.
    shutil.rmtree(new / "data")
    config = load_run_config([str(new / "exp" / "first")])
    assert config.corpus.dir == str(tmp_path / "data" / "prompts")


def test_a_verb_works_on_a_run_without_a_recipe(run, asr_hf):
    outcome = asr_hf("export", "priors", str(run))
    assert outcome.code == 0, outcome.err
    assert (run / "export" / "priors.vec").is_file()


@pytest.mark.parametrize(
    "override",
    [
        "features.allow_pipes=true",
        "+features.allow_pipes=true",
        "hydra.searchpath=[file:///tmp/stranger]",
        "model._target_=os.system",
    ],
)
def test_no_command_of_a_folder_decides_what_is_dangerous(run, override):
    edit(run, lambda found: found["command"].append(override))
    config = load_run_config([str(run)])
    assert config.features.allow_pipes is False
    assert "os.system" not in str(plain(config).values())


def test_a_command_that_refers_to_something_else_is_refused(run):
    edit(run, lambda found: found["command"].append("name=${oc.env:HOME}"))
    with pytest.raises(InputError, match="refers to something else"):
        load_run_config([str(run)])


def test_shells_are_for_this_command_to_turn_on(run):
    edit(run, lambda found: found["features"].update(allow_pipes=True))
    assert load_run_config([str(run)]).features.allow_pipes is False
    assert load_run_config([str(run), "features.allow_pipes=true"]).features.allow_pipes is True


def test_a_class_in_a_folder_is_refused_by_name(run):
    edit(run, lambda found: found["model"].update(_target_="os.system"))
    with pytest.raises(InputError, match=r"config\.yaml.*model\._target_"):
        load_run_config([str(run)])


def test_a_folder_that_is_no_run_and_two_folders_are_named(tmp_path, asr_hf):
    (tmp_path / "empty").mkdir()
    outcome = asr_hf("decode", "empty")
    assert outcome.code == 2 and "empty: no run there" in outcome.err
    outcome = asr_hf("score", "exp/a", "exp/b")
    assert outcome.code == 2 and "more than one run folder" in outcome.err
