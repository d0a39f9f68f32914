"""Every file of conf/ composes, the classes it names exist, and it makes settings."""

from __future__ import annotations

import json
import re

import pytest

from asr_hf.cli.check import CHOICES, check_targets
from asr_hf.cli.compose import load_config
from asr_hf.cli.groups import groups, plus
from asr_hf.cli.typed import settings_of
from asr_hf.curvature.chunks import CurvaturePath
from asr_hf.data.cmvn import CmvnMode
from asr_hf.data.fbank import WINDOWS
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.resources import conf_dir
from asr_hf.training.model_file import build_model

BASES = {"recipe": [], "corpus": ["name=x"]}
OPTIONS = [(group, option) for group, options in groups().items() for option in options]


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_and_its_classes_take_its_settings(group, option):
    base = BASES.get(group, ["+recipe=prompts"])
    config = load_config([*base, f"{plus(group)}{group}={option}"])
    check_targets(config)
    settings = settings_of(config)
    assert json.loads(json.dumps(settings.tree)) == settings.tree
    assert settings.changed("name", "other").name == "other"


def test_a_setting_that_no_class_takes_would_be_noticed():
    """The tests above rest on this: the check itself can fail."""
    from asr_hf.runtime.errors import InputError

    for override in (
        "+trainer.nonsense=1",
        "+model.nonsense=1",
        "solver._target_=asr_hf.nowhere.X",
    ):
        with pytest.raises(InputError):
            check_targets(load_config(["+recipe=prompts", override]))


@pytest.mark.parametrize("model", groups()["model"])
def test_every_model_is_built_with_parameters_in_one_flat_vector(model):
    config = load_config(["+recipe=prompts", f"model={model}"])
    built = build_model(settings_of(config).model.tree, 3, 5, seed=0)
    assert isinstance(built, AcousticModel)
    assert built.flat.numel() == sum(p.numel() for p in built.parameters())


@pytest.mark.parametrize("model", groups()["model"])
@pytest.mark.parametrize("debug", groups()["debug"])
def test_every_model_is_built_under_every_debug_preset(model, debug):
    config = load_config(["+recipe=prompts", f"model={model}", f"+debug={debug}"])
    assert build_model(settings_of(config).model.tree, 3, 5, seed=0).flat.isfinite().all()


def test_the_choices_of_the_command_line_are_those_of_the_code():
    assert set(CHOICES["features.cmvn"]) == {mode.value for mode in CmvnMode}
    assert set(CHOICES["runtime.curvature_path"]) == {path.value for path in CurvaturePath}


def test_every_window_of_the_choices_is_one_of_the_code():
    assert set(CHOICES["features.window"]) == set(WINDOWS)


@pytest.mark.parametrize("path", sorted(conf_dir().rglob("*.yaml")), ids=lambda p: p.stem)
def test_every_file_says_first_what_it_is(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("# @package")]
    assert re.fullmatch(r"# \S.*", lines[0])


def test_paths_are_absolute_wherever_the_command_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config(["+recipe=prompts", "paths.data=d", "name=n"])
    assert config.corpus.dir == str(tmp_path / "d" / "prompts")
    assert config.run_dir == str(tmp_path / "exp" / "n")


@pytest.mark.parametrize("trainer", ["hf", "sgd", "adamw", "nadamw", "muon"])
def test_one_seed_serves_training_while_the_alignment_keeps_its_own(trainer):
    config = load_config(["+recipe=prompts", f"trainer={trainer}", "runtime.seed=7"])
    assert (config.trainer.seed, config.alignment.seed) == (7, 0)


def test_switchboard_is_the_paper_s_larger_network_on_its_features():
    config = load_config(["+recipe=switchboard"])
    assert list(config.model.hidden_sizes) == [2048] * 6
    assert (config.features.num_mel_bins, config.features.low_freq) == (36, 64.0)
    assert config.alignment.tree.states == 9300
    assert "LDC97S62" in config.corpus.needs


@pytest.mark.parametrize("stage", [None, *groups()["stage"]])
@pytest.mark.parametrize("hardware", [None, *groups()["hardware"]])
def test_presets_follow_every_stage_on_any_hardware(stage, hardware):
    given = [f"+{key}={one}" for key, one in (("stage", stage), ("hardware", hardware)) if one]
    config = load_config(["+recipe=switchboard", *given, "+preset=paper_300h"])
    check_targets(config)
    by_labels = stage in (None, "adapt")
    assert (config.criterion._target_.rpartition(".")[2] == "CrossEntropy") == by_labels
    assert (config.runtime.device == "cuda") == (hardware is not None)


@pytest.mark.parametrize(
    ("preset", "hidden", "states"),
    [("paper_50h", [1024] * 5, 2220), ("paper_300h", [2048] * 6, 9300)],
)
@pytest.mark.parametrize("stage", [[], ["+stage=smbr"]])
def test_the_paper_s_systems_are_as_published(preset, hidden, states, stage):
    config = load_config(["+recipe=switchboard", *stage, f"+preset={preset}"])
    assert (list(config.model.hidden_sizes), config.model.activation) == (hidden, "sigmoid")
    assert config.alignment.tree.states == states
    parts = [
        config[key]._target_.rpartition(".")[2] for key in ("solver", "preconditioner", "sampling")
    ]
    assert parts == ["FlexibleConjugateGradient", "LBFGSPreconditioner", "GeometricSampling"]
    assert config.solver.max_iterations > 100 and config.frame_stride == 1
    assert config.sampling.gradient_growth > 1 and config.sampling.gradient_most == 1.0
