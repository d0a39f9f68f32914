"""Names are texts, whatever they look like, from the command line and from YAML."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from asr_hf.cli.compose import load_config, table_name
from asr_hf.cli.kinds import DECLARED, NOTHING, known_keys
from asr_hf.cli.quoting import as_text, quoted
from asr_hf.runtime.errors import InputError

ODD = ["données", "1_1_1", "1e5", "null", "true", "1.50", "a b", "x=y", "it's", '"q', "no", "012"]
ODD += ["Ω", "हिन्दी", "a(b", "a;b!", "0x1F", "inf", "-5", "~", "$x", "a[1]", "#1", "a:b", "100%"]


@pytest.mark.parametrize("name", ODD)
def test_a_name_is_the_text_that_was_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config(["+recipe=prompts", f"name={name}"])
    assert config.name == name and config.run_dir == str(tmp_path / "exp" / name)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("données.tsv", "données"),
        ("1_1_1.tsv", "1_1_1"),
        ("1e5.tsv", "1e5"),
        ("null.csv", "null"),
        ("true.tsv", "true"),
        ("1.50.tsv", "1.50"),
        ("a b.tsv", "a-b"),
        ("x=y.tsv", "x-y"),
        ('it\'s "mine".tsv', "it-s-mine"),
        ("in/ein ordner/हिन्दी.tsv", "हिन्दी"),
        ("می\u200cروم.tsv", "می\u200cروم"),
        ("${name}.tsv", "name"),
    ],
)
def test_a_table_names_its_corpus(file, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config([f"table={file}"])
    assert (config.corpus.name, config.corpus.table, config.name) == (name, file, name)
    assert config.corpus.dir == str(tmp_path / "data" / name)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_both_ways_of_typing_an_accent_lead_to_one_folder(form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    typed = unicodedata.normalize(form, "données é")
    config = load_config([f"table={typed}.tsv", f"name={typed}"])
    assert os.path.basename(config.run_dir) == unicodedata.normalize("NFC", typed)
    assert os.path.basename(config.corpus.dir) == unicodedata.normalize("NFC", "données-é")
    # The file is looked for as it was typed.
    assert config.corpus.table == f"{typed}.tsv"


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        (
            "corpus.languages=[no,yes,on,off,y,n,012,1e5,null,é]",
            "corpus.languages",
            ["no", "yes", "on", "off", "y", "n", "012", "1e5", "null", "é"],
        ),
        ("corpus.sets=[train,1_1,null]", "corpus.sets", ["train", "1_1", "null"]),
        (
            "corpus.lexicon={no: no.txt, fr: données/1.txt}",
            "corpus.lexicon",
            {"no": "no.txt", "fr": "données/1.txt"},
        ),
        ("corpus.lexicon=null", "corpus.lexicon", None),
        ("corpus.lm_text=1e5", "corpus.lm_text", "1e5"),
        ("+corpus.decode_data.dev2=1_1", "corpus.decode_data", {"dev2": "1_1"}),
        ("alignment.tag=012", "alignment.tag", "012"),
        ("alignment.from_kaldi=[exp/données,1_1]", "alignment.from_kaldi", ["exp/données", "1_1"]),
        ("init_from=exp/été", "init_from", "exp/été"),
        ("init_from=null", "init_from", None),
        ("lattices.tag=${alignment.tag}", "lattices.tag", None),
        ("name=s${runtime.seed}é", "name", "s0é"),
        ("name=\"quoted 'twice'\"", "name", "quoted 'twice'"),
        ("name=a\\ b", "name", "a b"),
        ("runtime.memory=400", "runtime.memory", 400),
        ("runtime.memory=4GB", "runtime.memory", "4GB"),
        ("runtime.seed=1_000", "runtime.seed", 1000),
        ("model.hidden_sizes=[8,16]", "model.hidden_sizes", [8, 16]),
    ],
)
def test_texts_stay_texts_and_the_rest_what_it_is(override, key, value):
    recipe = "kaldi" if "decode_data" in override else "table"
    found = OmegaConf.select(load_config([f"+recipe={recipe}", override]), key)
    assert (OmegaConf.to_container(found) if OmegaConf.is_config(found) else found) == value


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
def test_any_text_comes_back_from_its_quotes(text):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    override = quoted(f"name={as_text(text)}", DECLARED["name"])
    value = OverridesParser.create().parse_override(override).value()
    assert OmegaConf.create({"v": value}).v == text


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=30))
def test_a_table_s_name_is_a_folder_of_its_own_or_nothing(name):
    found = table_name(f"in/{name}x.tsv")
    assert (
        "/" not in found
        and found not in (".", "..")
        and found == unicodedata.normalize("NFC", found)
    )


def own(tmp_path, **files: str) -> list[str]:
    """--config-dir with the files of a group's options: corpus_mine=text."""
    for place, text in files.items():
        group, _, option = place.partition("_")
        (tmp_path / "conf" / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / group / f"{option}.yaml").write_text(text)
    return ["--config-dir", str(tmp_path / "conf")]


MINE = """\
name: mine
dir: ${paths.data}/${corpus.name}
recipe: null
languages: [en]
sets: [train, dev, test]
train_set: train
heldout_set: dev
source: null
needs: my recordings
"""


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("languages: [no]", "corpus.languages[0]: false"),
        ("languages: [en, yes]", "corpus.languages[1]: true"),
        ("languages: no", "corpus.languages: false"),
        ("lm_text: {yes: a.txt}", "corpus.lm_text: true where a name belongs"),
        ("sets: [train, 012, dev]", "corpus.sets[1]: the number 10"),
        ("sets: [train, ~]", "corpus.sets[1]: null"),
        ("train_set: 1e5", "corpus.train_set: the number 100000.0"),
        ("heldout_set: off", "corpus.heldout_set: false"),
        ("name: 1_1_1", "corpus.name: the number 111"),
        ("lexicon: {no: a.txt}", "corpus.lexicon: false where a name belongs"),
        ("decode_data: {dev2: 5}", "corpus.decode_data.dev2: the number 5"),
        ("numbers: {en: yes}", "corpus.numbers.en: true"),
    ],
)
def test_what_yaml_reads_as_no_text_is_refused_with_its_key(tmp_path, written, named):
    key = written.partition(":")[0]
    kept = "".join(line for line in MINE.splitlines(True) if not line.startswith(f"{key}:"))
    with pytest.raises(InputError) as caught:
        load_config([*own(tmp_path, corpus_mine=f"{kept}{written}\n"), "corpus=mine", "name=x"])
    assert str(caught.value).startswith(named)
    assert 'quotes: "no"' in str(caught.value) and "as in" not in str(caught.value)


def test_a_corpus_without_a_recipe_is_not_prepared(tmp_path, asr_hf):
    outcome = asr_hf("prepare", *own(tmp_path, corpus_mine=MINE), "corpus=mine", "name=x")
    assert outcome.code == 2 and "no recipe prepares the corpus 'mine'" in outcome.err


def test_quoted_they_are_texts(tmp_path):
    text = MINE.replace("[en]", '["no", "012"]').replace("name: mine", 'name: "1_1"')
    config = load_config([*own(tmp_path, corpus_mine=text), "corpus=mine", "name=x"])
    assert (config.corpus.name, list(config.corpus.languages)) == ("1_1", ["no", "012"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("corpus.numbers=[fr,it]", "corpus.numbers=[fr,it]: a list where a text or texts by name"),
        ("corpus.lexicon=[a,b]", "a list where a text"),
        ("corpus.name={a: b}", "settings by name where a text belongs"),
        ("name=[a]", "a list where a text belongs"),
        ("decode.sets=dev", "a text where a list of texts belongs"),
        ("runtime.seed=[1]", "a list where a number belongs"),
        ("runtime.seed={a: 1}", "settings by name where a number belongs"),
        ("runtime=3", "the number 3 where settings by name belongs"),
        ("model.hidden_sizes={a: 1}", "settings by name where a list belongs"),
        ("model.hidden_sizes=512", "the number 512 where a list belongs"),
        ("alignment.tree=5", "the number 5 where settings by name or null belongs"),
        ("corpus.tidy=[true]", "a list where true or false belongs"),
        ("init_from=[exp/a]", "a list where a text or null belongs"),
        ("features.sample_rate=[8000]", "a list where a number or null belongs"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_what_belongs_there(asr_hf, override, message):
    outcome = asr_hf("config", "+recipe=table", override)
    assert outcome.code == 2 and message in outcome.err and override in outcome.err


def test_the_same_in_a_file_names_the_key(tmp_path, asr_hf):
    recipe = "# @package _global_\ndefaults:\n  - override /corpus: prompts\nname: x\n"
    recipe += "decode:\n  sets: dev\n"
    outcome = asr_hf("config", *own(tmp_path, recipe_mine=recipe), "+recipe=mine")
    assert outcome.code == 2 and "decode.sets: a text where a list of texts belongs" in outcome.err


def test_every_key_that_its_file_leaves_open_has_its_kind_declared():
    unknown = [key for key, kinds in known_keys().items() if kinds == {NOTHING}]
    assert [key for key in unknown if key not in DECLARED and "subsets" not in key] == []


def test_what_is_declared_is_there():
    from asr_hf.cli.groups import groups

    alone = {"corpus.clean", "corpus.scoring"}
    assert {key for key in DECLARED if key not in known_keys()} <= alone | set(groups())
