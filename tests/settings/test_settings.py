"""Every key of conf/ has a field and every field a key; what settings are made of and give."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from omegaconf import OmegaConf

from asr_hf.cli.compose import load_config
from asr_hf.cli.kinds import known_keys
from asr_hf.cli.typed import settings_of
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe, recipe_names
from asr_hf.settings.component import Component
from asr_hf.settings.corpus import CorpusSettings, KaldiData, corpus_settings
from asr_hf.settings.maker import MissingSetting
from asr_hf.settings.settings import Settings

# What the command adds to what files have, and how settings hold it.
ADDED = {"run_dir", "tree", "formulas", "corpus.own"}
# Mappings whose names are the user's, or settings of an effect.
OPEN = (
    *("corpus.decode_data", "corpus.subsets", "corpus.subsets_scored", "corpus.augmentation.sets"),
    *("corpus.held_out", "corpus.held_out_scenes"),
)
EFFECTS = "corpus.augmentation.effects"


def own_settings() -> list[type]:
    """The dataclasses of what only recipes read."""
    found: list[type] = []
    for name in recipe_names():
        module = load_recipe(name)
        found += [
            kind
            for kind in vars(module).values()
            if isinstance(kind, type) and is_dataclass(kind) and kind.__name__.endswith("Settings")
            if kind.__module__.startswith("asr_hf_recipes.") and not kind.__name__.startswith("_")
        ]
    return found


def keys_of(kind: Any, prefix: str = "") -> Iterator[str]:
    """The dotted key of every field of a dataclass, nested ones' as well."""
    hints = get_type_hints(kind)
    for field in fields(kind):
        key = f"{prefix}{field.name}"
        nested = [k for k in (hints[field.name], *get_args(hints[field.name])) if is_dataclass(k)]
        if KaldiData in nested:
            yield from keys_of(KaldiData, prefix)
            continue
        yield key
        if nested and Component not in nested:
            each = "*." if get_origin(hints[field.name]) is Mapping else ""
            yield from keys_of(nested[0], f"{key}.{each}")


def typed_keys() -> set[str]:
    found = set(keys_of(Settings)) - ADDED
    for kind in own_settings():
        found |= set(keys_of(kind, "corpus."))
    return found


def shape(key: str) -> str:
    """A key with a star for a name that is the user's."""
    for mapping in OPEN:
        if key.startswith(f"{mapping}."):
            _, *below = key.removeprefix(f"{mapping}.").split(".")
            return ".".join([mapping, "*", *below])
    return key


def keys_in_conf() -> set[str]:
    """Keys of conf/ but for those of classes, effects and what users name."""
    classes = {key.removesuffix("._target_") for key in known_keys() if key.endswith("._target_")}
    free = tuple(f"{key}." for key in (EFFECTS, *classes))
    keys = {shape(key) for key in known_keys() if not key.startswith(free)}
    keys = {key for key in keys if not key.endswith((".*", ".defaults"))}
    # The parts of an optimiser are groups of their own, which trainer.* names.
    return {key for key in keys if key not in classes or key in typed_keys()}


def test_every_key_has_a_field_and_every_field_a_key():
    assert keys_in_conf() == typed_keys()


def test_recipes_have_dataclasses_of_their_own():
    assert {kind.__name__ for kind in own_settings()} == {
        "FilletsSettings",
        "PromptsSettings",
        "QueenSettings",
        "SwitchboardSettings",
        "TableSettings",
    }


def test_every_field_says_what_it_is():
    seen: list[Any] = [Settings, *own_settings()]
    while seen:
        kind = seen.pop()
        hints = get_type_hints(kind)
        for field in fields(kind):
            assert f"        {field.name}: " in kind.__doc__, f"{kind.__name__}.{field.name}"
            seen += [
                k for k in (hints[field.name], *get_args(hints[field.name])) if is_dataclass(k)
            ]


def test_the_tree_is_that_of_the_configuration():
    config = load_config(["+recipe=prompts", "decode.beam=10"])
    settings = settings_of(config)
    assert settings.tree == OmegaConf.to_container(config, resolve=True)
    assert settings.formulas["corpus"]["dir"] == "${paths.data}/${corpus.name}"
    assert settings.plain("decode.beam") == 10 and settings.plain("decode.none.x", 3) == 3


def test_a_change_makes_new_settings_whose_tree_has_it():
    settings = settings_of(load_config(["+recipe=prompts"]))
    model = {"_target_": "asr_hf.models.tdnn.TDNN", "hidden_sizes": [4]}
    changed = settings.changed("model", model).changed("alignment.tag", "again")
    assert changed.model.target == model["_target_"] and changed.tree["model"] == model
    assert changed.alignment.tag == changed.tree["alignment"]["tag"] == "again"
    assert settings.alignment.tag is None and settings.tree["alignment"]["tag"] is None
    assert changed.formulas["model"] == model
    with pytest.raises(InputError, match=r"alignment\.tag: the number 3"):
        settings.changed("alignment.tag", 3)


def test_a_component_without_class_is_missing_something():
    settings = settings_of(load_config(["+recipe=prompts"]))
    with pytest.raises(MissingSetting, match=r"criterion\._target_"):
        settings.changed("criterion", {})
    with pytest.raises(InputError, match="criterion: null where settings by name"):
        settings.changed("criterion", None)


def test_components_build_what_hydra_would():
    settings = settings_of(load_config(["+recipe=prompts", "solver.max_iterations=7"]))
    maker = settings.trainer.build()
    assert maker.keywords["solver"].max_iterations == 7
    assert maker.keywords["solver"].stopping.window == 10


def test_a_corpus_keeps_apart_what_is_its_recipe_s_own():
    corpus = settings_of(load_config(["table=my.tsv", "corpus.tidy=false"])).corpus
    assert corpus.own["tidy"] is False and corpus.kaldi is None
    assert not set(corpus.own) & {field.name for field in fields(CorpusSettings)}
    values = {"name": "a", "dir": "d", "sets": [], "train_set": "t", "heldout_set": "h"}
    kaldi = corpus_settings(
        values | dict.fromkeys(["train_data", "heldout_data"]) | {"heldout_share": 1}
    )
    assert kaldi.kaldi == KaldiData(train_data=None, heldout_data=None, heldout_share=1)
    assert kaldi.own == {}


def test_settings_do_not_wait_for_torch():
    script = (
        "import sys; import asr_hf.cli.typed, asr_hf.settings.settings\n"
        "assert not {'torch', 'hydra.utils'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
