"""Every stage, preset and recipe stands beside every option of every group."""

from __future__ import annotations

import re

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from asr_hf.cli.check import check_targets
from asr_hf.cli.compose import load_config
from asr_hf.cli.groups import groups, plus
from asr_hf.cli.typed import settings_of
from asr_hf.runtime.resources import conf_dir
from asr_hf.stages.training.declared import criterion_needs
from asr_hf.training.model_file import build_model

# What is set under one option only: conf/<group>/<option>/<group>/<option>.yaml.
PARTS = sorted(conf_dir().glob("*/*/*/*.yaml"))
# What sets keys of other groups: all stages, presets and debug options, and a recipe with parts.
SETTING = ("stage", "preset", "debug")
SETTERS = [f"+{g}={o}" for g in SETTING for o in groups()[g]]
WITH_PARTS = [p.parts[-3] for p in PARTS if p.parts[-4] == "recipe"][:1]
# Configurations are composed in blocks, each with one of these in all of them.
BLOCKS = [("preset", o) for o in groups()["preset"]] + [("recipe", o) for o in WITH_PARTS]
# Groups whose options differ in the keys they have.
CHOSEN = [g for g in groups() if not plus(g) and g not in ("corpus", "export", "features")]
CHEAP = ("solver", "cg_stopping", "preconditioner", "sampling", "damping", "acceptance")
CHEAP += ("criterion",)


def configurations(number: int) -> list[list[str]]:
    """The overrides of a block, an option of every group.

    Every option of the groups is in one of them at least. Those that set keys begin with another
    in each block, so that they meet all.
    """
    group, fixed = BLOCKS[number]
    columns = {g: options for g, options in groups().items() if g not in (group, "recipe")}
    if group != "recipe":
        columns["recipe"] = groups()["recipe"]
    # Stages and debug options have even numbers: in step, half of them would never meet.
    shifts = dict.fromkeys(SETTING, number) | {"debug": number // 2}
    made = []
    for row in range(max(map(len, columns.values()))):
        given = [f"+{group}={fixed}"]
        for name, options in columns.items():
            option = options[(row + shifts.get(name, 0)) % len(options)]
            given.append(f"{plus(name)}{name}={option}")
        # Presets before stages, and stages before presets.
        given = given[::-1] if number % 2 else given
        # The recipe comes first, as people give it.
        made.append(sorted(given, key=lambda o: not o.startswith("+recipe")))
    return made


def test_whatever_sets_keys_is_beside_every_option_of_every_group():
    beside = {o: set() for o in [*SETTERS, *(f"+recipe={o}" for o in WITH_PARTS)]}
    for number in range(len(BLOCKS)):
        for given in configurations(number):
            for setter in beside.keys() & set(given):
                beside[setter].update(given)
    for setter, met in beside.items():
        of_group = setter.lstrip("+").partition("=")[0]
        assert met - {setter} == {
            f"{plus(g)}{g}={o}" for g, options in groups().items() for o in options if g != of_group
        }


@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=lambda number: "-".join(BLOCKS[number]))
def test_options_compose_with_one_another(number):
    for given in configurations(number):
        config = load_config(given)
        check_targets(config)
        if criterion_needs(settings_of(config).criterion).acoustic_scale:
            # Else that of the run of init_from.
            config.criterion.acoustic_scale = 0.1
        for part in CHEAP:
            instantiate(config[part])
        for name in CHOSEN:
            chosen = next(o for o in given if o.partition("=")[0] == name).partition("=")[2]
            target = OmegaConf.load(conf_dir() / name / f"{chosen}.yaml").get("_target_")
            assert target is None or config[name]._target_ == target


@pytest.mark.parametrize("path", PARTS, ids=lambda p: "-".join(p.parts[-4:]))
def test_a_part_sets_keys_that_its_option_has(path):
    """So that no part outlives the option it was written for."""
    owner, part, option = path.parts[-4], path.parts[-2], path.stem
    assert option in groups()[part] and owner in groups()
    plain = load_config(["+recipe=prompts", f"{part}={option}"])

    def check(tree, key=""):
        for name, value in tree.items():
            below = f"{key}.{name}".strip(".")
            if OmegaConf.is_dict(value):
                check(value, below)
            else:
                parent = (
                    OmegaConf.select(plain, below.rpartition(".")[0]) if "." in below else plain
                )
                assert name in parent, f"{below}: nothing of {part}={option}"

    check(OmegaConf.load(path))


@pytest.mark.parametrize("path", sorted(conf_dir().glob("*/*.yaml")), ids=lambda p: p.stem)
def test_what_is_set_for_all_options_is_not_of_a_group_with_classes(path):
    """A key of a class belongs into a part, conf/<group>/<option>/<group>/<option>.yaml."""
    if "@package _global_" not in path.read_text():
        return
    tree = OmegaConf.load(path)
    with_classes = {
        g
        for g in groups()
        for p in (conf_dir() / g).glob("*.yaml")
        if re.search(r"^_target_:", p.read_text(), re.MULTILINE)
    }
    assert not with_classes & set(tree) and "tree" not in tree.get("alignment", {})


@pytest.mark.parametrize(
    ("given", "key", "value"),
    [
        (["+stage=smbr"], "sampling.gradient", 32768),
        (["+stage=smbr", "sampling=geometric"], "sampling.gradient", 32768),
        (["+stage=smbr", "sampling=fixed"], "sampling.gradient", 1.0),
        (["+stage=mmi", "sampling=variance"], "sampling.curvature", 0.2),
        (["+stage=mpfe", "solver=cg"], "solver.max_iterations", 250),
        (["+stage=smbr", "sampling.gradient=99"], "sampling.gradient", 99),
        (["sampling.gradient=99", "+stage=smbr"], "sampling.gradient", 99),
        (["+preset=kfac_cg"], "frame_stride", 64),
        (["+stage=smbr", "+preset=kfac_cg"], "frame_stride", 1),
        (["+stage=smbr", "+preset=kfac_cg"], "sampling.gradient", 4096),
        (["+preset=kfac_cg", "+stage=smbr"], "sampling.gradient", 32768),
        (["+preset=kfac_cg", "trainer=adamw"], "trainer.horizon.epochs", 20),
        (["+preset=kfac_cg", "+debug=fast"], "trainer.stopping.max_iterations", 2),
        (["+debug=fast", "trainer=adamw"], "trainer.horizon.epochs", 1),
        (["+preset=paper_300h", "model=tdnn"], "model.hidden_sizes", [512]),
        (["+preset=paper_50h"], "model.hidden_sizes", [1024] * 5),
        (["+preset=paper_50h", "alignment=monophone"], "alignment.tree", None),
        (["+preset=paper_50h"], "solver.max_iterations", 250),
        (["+debug=overfit"], "sampling.curvature", 1.0),
        (["+debug=overfit", "sampling=geometric"], "sampling.curvature", 0.01),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else str(value),
)
def test_values_hold_for_the_option_they_belong_to(given, key, value):
    assert OmegaConf.select(load_config(["+recipe=prompts", *given]), key) == value


@pytest.mark.parametrize("model", ["dnn", "tdnn"])
@pytest.mark.parametrize("alignment", groups()["alignment"])
def test_switchboard_s_sizes_are_those_of_its_own_options(model, alignment):
    config = load_config(["+recipe=switchboard", f"model={model}", f"alignment={alignment}"])
    assert list(config.model.hidden_sizes) == ([2048] * 6 if model == "dnn" else [512])
    states = None if config.alignment.tree is None else config.alignment.tree.states
    assert states == (9300 if alignment == "triphone" else None)
    config.model.hidden_sizes = [8]
    assert build_model(settings_of(config).model.tree, 3, 5, seed=0).flat.isfinite().all()


def test_own_presets_have_parts_too_and_build_on_ours(tmp_path):
    head = "# @package _global_\ndefaults:\n"
    for name, text in {
        "preset/mine.yaml": f"{head}  - kfac_cg\n  - _self_\nframe_stride: 2\n",
        "preset/mine/sampling/geometric.yaml": "sampling:\n  gradient: 77\n",
        "preset/mine/model/own.yaml": "model:\n  depth: 3\n",
        "model/own.yaml": "_target_: torch.nn.Identity\ndepth: 1\n",
        "recipe/home.yaml": f"{head}  - /preset: mine\n  - override /corpus: prompts\nname: home\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    own = ["--config-dir", str(tmp_path)]
    for given in (["+recipe=prompts", "+preset=mine"], ["+recipe=home"]):
        config = load_config([*own, *given])
        assert (config.sampling.gradient, config.sampling.curvature) == (77, 1024)
        assert config.damping.value == 2.0e-3
        fixed = load_config([*own, *given, "sampling=fixed", "model=own"])
        assert (fixed.sampling.gradient, fixed.model.depth) == (1.0, 3)
