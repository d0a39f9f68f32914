"""Commands that run in pytest's process have the configuration that Hydra composes for a user."""

from __future__ import annotations

import pytest
from hydra._internal import defaults_list
from hydra._internal.config_repository import ConfigRepository
from omegaconf import OmegaConf

from asr_hf.cli import compose
from asr_hf.cli.compose import load_config

from . import composed

P = "+recipe=prompts"
CASES = {
    "options": [P, "+preset=kfac_cg", "trainer=adamw", "schedule=newbob"],
    "values before and after options": ["name=a", "sampling.gradient=99", "+stage=smbr", P],
    "values of options": [P, "+preset=kfac_cg", "sampling=geometric", "sampling.gradient=7"],
    "texts and lists": [P, "name=données", "corpus.languages=[no,1e5]", "model.hidden_sizes=[8]"],
    "a reference": [P, "name=s${runtime.seed}", "lattices.tag=${alignment.tag}"],
    "added": ["+recipe=kaldi", "+corpus.decode_data.eval=data/eval", "++corpus.scoring=hub5"],
    "merged": ["+recipe=table", "++corpus.lexicon={en: a}", "++corpus.lexicon={fr: b}"],
    "removed": [P, "~decode.max_active"],
    "an option without its group": [P, "~annealing"],
    "a stage with parts": ["+recipe=switchboard", "+preset=paper_50h", "+stage=smbr"],
}


@pytest.fixture
def hydras(monkeypatch):
    """load_config by Hydra alone."""

    def load(arguments):
        with monkeypatch.context() as patched:
            by_hydra(patched)
            return load_config(arguments)

    return load


def by_hydra(patched):
    """Undo what composed.use has done."""
    patched.setattr(compose, "_compose", composed._compose)
    patched.setattr(OmegaConf, "load", staticmethod(composed._load))
    patched.setattr(ConfigRepository, "load_config", composed._parse)
    name = "_create_interpolation_map"
    patched.setattr(defaults_list, name, composed._choices_for_references)


@pytest.mark.parametrize("arguments", CASES.values(), ids=CASES.keys())
def test_what_is_kept_is_what_hydra_composes(arguments, hydras):
    # Of other values first, so that the options are there already.
    load_config([one for one in arguments if one.startswith("+recipe")] + ["runtime.seed=5"])
    assert OmegaConf.to_yaml(load_config(arguments)) == OmegaConf.to_yaml(hydras(arguments))


def test_files_of_one_s_own_are_read_as_they_are_now(tmp_path, hydras):
    (tmp_path / "sampling").mkdir()
    given = ["--config-dir", str(tmp_path), P, "sampling=mine", "sampling.curvature=0.1"]
    for share in (0.2, 0.3):
        text = f"gradient: {share}\ncurvature: 1\n"
        text = f"_target_: asr_hf.hf.sampling.fixed.FixedSampling\n{text}"
        (tmp_path / "sampling" / "mine.yaml").write_text(text)
        config = load_config(given)
        assert (config.sampling.gradient, config.sampling.curvature) == (share, 0.1)
        assert config == hydras(given)


def test_a_default_that_refers_to_another_follows_it(tmp_path, hydras):
    head = "# @package _global_\ndefaults:\n"
    for name, text in {
        "debug/mine.yaml": f"{head}  - /preset@_global_: of_${{debug}}\n  - _self_\n",
        "preset/of_mine.yaml": "name: chosen\n",
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    given = ["--config-dir", str(tmp_path), P, "+debug=mine"]
    assert load_config(given) == hydras(given) and load_config(given).name == "chosen"


@pytest.mark.parametrize(
    "override", ["runtime.sed=1", "sampling=zzz", "+name=x", "~nothing", "name=a,b", "name=[1"]
)
def test_what_does_not_compose_is_hydra_s_error(override, monkeypatch):
    errors = []
    for way in (composed.composed, composed._compose):
        with pytest.raises(compose.COMPOSITION_ERRORS) as caught:
            way([P, override])
        errors.append(str(caught.value))
        by_hydra(monkeypatch)
    assert errors[0] == errors[1]
