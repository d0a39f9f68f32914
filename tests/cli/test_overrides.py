"""What an override that does not fit meets: exit code 2, what is wrong, what would be right."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from asr_hf.cli.compose import load_config
from asr_hf.runtime.errors import InputError

P = "+recipe=prompts"


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        (["preconditoner=lbfgs", P], "preconditioner=lbfgs?"),
        ([P, "solver=flexibel_cg"], "solver=flexible_cg?"),
        ([P, "trainer.stopping.max_iteration=3"], "trainer.stopping.max_iterations=3?"),
        ([P, "model.hiden_sizes=[8]"], "model.hidden_sizes=[8]?"),
        (["+recipe=prompt"], "+recipe=prompts?"),
        (["recipe=prompts"], "+recipe=prompts?"),
        (["recpie=prompts"], "+recipe=prompts?"),
        (["+corpus=prompts", P], "corpus=prompts?"),
        ([P, "sampling=zzz"], "options of sampling: fixed, geometric, variance"),
        ([P, "features.cmvn=speakers"], "features.cmvn=speaker?"),
        ([P, "runtime.curvature_path=rop"], "one of auto, r_operator, double_backward"),
        ([P, "seed"], "key=value"),
        ([P, "model.hidden_sizes=[1,2"], "quote the value"),
        ([P, "model.hidden_sizes=512"], "model.hidden_sizes=[512, 512, 512]"),
        ([P, "runtime.seed=one"], "runtime.seed=0"),
        ([P, "runtime.seed=${nowhere}"], "${...}"),
        ([P, "~solver"], "put back the group"),
        ([P, "name="], "name=first"),
        ([P, "name=../elsewhere"], "paths.exp=DIR"),
        ([P, "name=/tmp/elsewhere"], "paths.exp=DIR"),
        ([], "+recipe=prompts"),
        ([P, "--hydra-help"], "--config-dir DIR"),
        ([P, "--config-dir", "nowhere"], "DIR/recipe/mine.yaml"),
        ([P, "+runtime.sed=1"], "runtime.seed=1?"),
        ([P, "++runtime.sed=1"], "runtime.seed=1?"),
        ([P, "++sover.max_iterations=1"], "solver.max_iterations=1?"),
        ([P, "++runtime={sed: 1}"], "runtime.seed"),
        (["+recipe=table", "+corpus.lexicn=a"], "corpus.lexicon=a?"),
        ([P, "+foo=1"], "prints every key"),
        ([P, "++trainer.nesterov=true"], "leave trainer.nesterov out"),
        ([P, "++model.hiden_sizes=[8]"], "did you mean model.hidden_sizes?"),
        ([P, "+corpus.decode_data.é=x"], "DIR/corpus/mine.yaml"),
        ([P, P], "options of recipe"),
        (["+stage=smbr"], "+recipe=NAME"),
        (["corpus=prompts"], "choose a recipe"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, list) else "",
)
@pytest.mark.parametrize("verb", ["config"])
def test_a_typo_is_refused_and_mended(asr_hf, verb, overrides, remedy):
    outcome = asr_hf(verb, *overrides)
    assert outcome.code == 2 and outcome.out == ""
    assert remedy in outcome.err and "Traceback" not in outcome.err


@pytest.mark.parametrize(
    "override",
    [
        "runtime.threads=2",
        "runtime.threads=null",
        "trainer.warm_start_decay=1",
        "name=2024",
        "name=a/b",
        "corpus.source=/some/where",
        "trainer.heldout_frames=3000",
        "model.hidden_sizes=[8,8]",
        "decode.acoustic_scales=[0.1]",
    ],
)
def test_values_that_fit_are_taken(asr_hf, override):
    outcome = asr_hf("config", P, override)
    assert outcome.code == 0, outcome.err
    key, _, value = override.rpartition("=")
    assert value.strip("[]").split(",")[0] in outcome.out and key.rpartition(".")[2] in outcome.out


@pytest.mark.parametrize(
    ("overrides", "key", "value"),
    [
        (
            ["+recipe=kaldi", "+corpus.decode_data.eval=data/eval"],
            "corpus.decode_data.eval",
            "data/eval",
        ),
        (["+recipe=kaldi", "++corpus.scoring=hub5"], "corpus.scoring", "hub5"),
        (
            ["+recipe=switchboard", "+corpus.subsets.of_1h={first: 9, copies: null}"],
            "corpus.subsets.of_1h.first",
            9,
        ),
        (
            ["+recipe=switchboard", "+corpus.subsets_scored.dev=[sw]"],
            "corpus.subsets_scored.dev",
            ["sw"],
        ),
        (
            [
                "+recipe=prompts5x",
                "+corpus.augmentation.sets.more={of: dev, clean: true, copies: 1}",
            ],
            "corpus.augmentation.sets.more.of",
            "dev",
        ),
        (["+recipe=queen", "+corpus.held_out.hero=[joe]"], "corpus.held_out.hero", ["joe"]),
        (["+recipe=table", "++corpus.lexicon={en: a}"], "corpus.lexicon.en", "a"),
        ([P, "++runtime.seed=3"], "runtime.seed", 3),
        (
            [P, "trainer=adamw", "schedule=newbob", "++schedule.decay=0.7"],
            "trainer.schedule.decay",
            0.7,
        ),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_may_be_added_is_added(overrides, key, value):
    assert OmegaConf.select(load_config(overrides), key) == value


def test_a_class_of_one_s_own_has_the_keys_of_its_file_and_of_itself(tmp_path):
    (tmp_path / "solver").mkdir()
    (tmp_path / "solver" / "mine.yaml").write_text(
        "_target_: collections.Counter\nextra: 1\nrule: {k: text}\n"
    )
    own = ["--config-dir", str(tmp_path), P, "solver=mine"]
    config = load_config([*own, "solver.extra=5", "++solver.rule.k=null"])
    assert (config.solver.extra, config.solver.rule.k) == (5, None)
    with pytest.raises(InputError, match=r"solver\.extr=5: there is no such key"):
        load_config([*own, "solver.extr=5"])


@pytest.mark.parametrize("given", ["+corpus=mine", "corpus=mne", "+corpus=mne"])
def test_options_of_one_s_own_are_suggested_as_they_are_written(asr_hf, tmp_path, given):
    (tmp_path / "mine" / "corpus").mkdir(parents=True)
    (tmp_path / "mine" / "corpus" / "mine.yaml").write_text("name: mine\n")
    outcome = asr_hf("config", "--config-dir", "mine", given, "name=x")
    assert outcome.code == 2 and "did you mean corpus=mine?" in outcome.err
    assert "override corpus" not in outcome.err


def test_the_culprit_is_found_where_folders_of_one_s_own_come_last(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "mine.yaml").write_text("name: mine\n")
    given = ["corpus=mine", "name=x", "decode.beams=3", f"hydra.searchpath=[file://{tmp_path}]"]
    with pytest.raises(InputError, match=r"decode\.beams=3: there is no such key"):
        load_config(given)


def test_several_folders_of_one_s_own_are_all_searched(asr_hf, tmp_path):
    for name in ("a", "b b", "ç"):
        (tmp_path / name / "recipe").mkdir(parents=True)
        (tmp_path / name / "recipe" / f"of_{name[0]}.yaml").write_text(
            f"# @package _global_\ndefaults:\n  - override /corpus: prompts\nname: '{name}'\n"
        )
    dirs = [word for name in ("a", "b b", "ç") for word in ("--config-dir", name)]
    for name in ("a", "b b", "ç"):
        outcome = asr_hf("config", *dirs, f"+recipe=of_{name[0]}")
        assert outcome.code == 0, outcome.err
        assert f"name: {name}" in outcome.out


@pytest.mark.parametrize("override", ["preconditoner=lbfgs", "+recipe=nope", "runtime.sed=1"])
def test_what_is_wrong_is_named_once(asr_hf, override):
    first = asr_hf("config", P, override).err.splitlines()[0]
    assert first.count(override.lstrip("+").partition("=")[0]) == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+solver.nonsense=1", "solver.nonsense: FlexibleConjugateGradient has no such setting"),
        ("+trainer.nesterov=true", "trainer.nesterov: HessianFree has no such setting"),
        ("solver._target_=asr_hf.hf.solvers.cg.Nothing", "cannot be imported"),
        ("model.activation=swish", "swish"),
        ("runtime.device=gpu", "'gpu' is no device"),
        ("runtime.threads=0", "at least one thread"),
        ("sampling.gradient=3.5", "sampling.gradient"),
    ],
)
def test_what_cannot_be_built_is_refused_before_training(asr_hf, corpus, override, message):
    outcome = asr_hf("train", *corpus, override)
    assert outcome.code == 2 and message in outcome.err


def test_own_groups_stand_beside_the_built_in_ones(asr_hf, tmp_path):
    (tmp_path / "mine" / "recipe").mkdir(parents=True)
    (tmp_path / "mine" / "recipe" / "home.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /corpus: prompts\nname: home\n"
    )
    outcome = asr_hf("config", "--config-dir", "mine", "+recipe=home")
    assert outcome.code == 0 and "name: home" in outcome.out


def test_a_broken_yaml_file_is_named(asr_hf, tmp_path):
    (tmp_path / "mine" / "recipe").mkdir(parents=True)
    (tmp_path / "mine" / "recipe" / "broken.yaml").write_text("name: [1, 2\nother: 3\n")
    outcome = asr_hf("config", "--config-dir", "mine", "+recipe=broken")
    assert outcome.code == 2
    assert "broken.yaml" in outcome.err and "line 2" in outcome.err


def test_the_printed_configuration_is_yaml_that_resolves_to_itself(asr_hf):
    from omegaconf import OmegaConf

    text = asr_hf("config", P, "name=x").out
    again = OmegaConf.to_yaml(OmegaConf.create(text), resolve=True)
    assert again == text and "${" not in text
