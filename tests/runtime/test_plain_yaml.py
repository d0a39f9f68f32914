"""Configurations are written as they always were, and read as what they were."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from asr_hf.cli.compose import load_config
from asr_hf.runtime.plain_yaml import plain_yaml

LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREE = st.recursive(
    LEAF, lambda t: st.lists(t, max_size=3) | st.dictionaries(st.text("ab1", min_size=1), t)
)


@pytest.mark.parametrize(
    "overrides",
    [["+recipe=prompts5x"], ["+recipe=switchboard", "+preset=paper_300h"], ["+recipe=kaldi"]],
    ids=" ".join,
)
def test_a_configuration_is_written_as_omegaconf_writes_it(overrides):
    config = load_config(overrides)
    plain = OmegaConf.to_container(config, resolve=True)
    assert plain_yaml(plain) == OmegaConf.to_yaml(config, resolve=True)


@given(tree=st.dictionaries(st.text("abc", min_size=1), TREE, max_size=4))
def test_what_is_written_is_read_as_it_was(tree):
    assert yaml.safe_load(plain_yaml(tree)) == tree


@pytest.mark.parametrize("text", ["no", "1e5", "0x1f", "1_000", "2024-01-01", "~", "", "on", "é"])
def test_texts_stay_texts_whoever_reads_them(text):
    written = plain_yaml({"a": text})
    assert written == OmegaConf.to_yaml(OmegaConf.create({"a": text}))
    assert OmegaConf.create(written).a == yaml.safe_load(written)["a"] == text


def test_what_stands_twice_is_written_twice():
    shared = [1, 2]
    assert yaml.safe_load(plain_yaml({"a": shared, "b": shared})) == {"a": [1, 2], "b": [1, 2]}
    assert "&" not in plain_yaml({"a": shared, "b": shared})
