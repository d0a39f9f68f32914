"""Commands that run in pytest's process have the configuration that Hydra composes for a user."""

from __future__ import annotations

import pytest
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
}


@pytest.fixture
def hydras(monkeypatch):
    """load_config by Hydra alone."""

    def load(arguments):
        with monkeypatch.context() as patched:
            patched.setattr(compose, "_compose", composed._compose)
            return load_config(arguments)

    return load


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


@pytest.mark.parametrize(
    "override", ["runtime.sed=1", "sampling=zzz", "+name=x", "~nothing", "name=a,b", "name=[1"]
)
def test_what_does_not_compose_is_hydra_s_error(override):
    errors = []
    for way in (composed.composed, composed._compose):
        with pytest.raises(compose.COMPOSITION_ERRORS) as caught:
            way([P, override])
        errors.append(str(caught.value))
    assert errors[0] == errors[1]
