from __future__ import annotations

import pytest
from omegaconf import DictConfig

from asr_hf.cli.compose import load_config
from asr_hf.cli.groups import groups
from asr_hf.cli.verbs import VERBS
from scripts.site import commands, options


def keys(config, place=""):
    for name in map(str, config):
        key = f"{place}.{name}" if place else name
        node = config._get_node(name)
        if isinstance(node, DictConfig) and not node._is_none() and len(node):
            yield from keys(node, key)
        elif not name.startswith("_"):
            yield key


@pytest.fixture(scope="module")
def page():
    return options.page()


def test_every_key_of_a_command_is_there(page):
    described = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    config = load_config(["+recipe=prompts", "trainer=hf_stochastic", "augment=spec_augment"])
    # What the corpus's own files hold, and what follows from the command.
    elsewhere = {"hydra", "corpus", "command", "run_dir"}
    missing = {
        key for key in keys(config) if key not in described and key.split(".")[0] not in elsewhere
    }
    # References to other groups.
    assert {key for key in missing if key.split(".")[-1] not in groups()} == set()


def test_a_setting_has_its_comment_and_its_default(page):
    assert (
        "| `sampling.gradient` | `1.0` | The gradient is computed on this share of the training "
        "frames. A number above 1 is a number of frames. |" in page
    )
    assert "### preset=kfac" in page and "| `frame_stride` | `64` |" in page


def test_a_file_is_read_with_lists_nested_keys_and_comments(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(
        "# About\n# it.\n_target_: a.B\n# One.\none: 1 # aside\nnest:\n  # Two.\n  two:\n"
        "    - [1, 2]\n    - [3]\n  _target_: c.D\n  three: null\n\n# Lost.\n\nfour: a|b\n"
    )
    found = options.read_option(path, "group")
    assert found.about == "About it."
    assert [(x.key, x.value, x.comment) for x in found.settings] == [
        ("group.one", "1", "One."),
        ("group.nest.two", "- [1, 2] - [3]", "Two."),
        ("group.nest.three", "null", ""),
        ("group.four", "a|b", ""),
    ]


def test_every_verb_has_its_help():
    page = commands.page()
    for verb in VERBS:
        assert f"## asr-hf {verb}\n" in page
    assert "usage: asr-hf score exp/RUN" in page
