"""Options of verbs that have such beside overrides."""

from __future__ import annotations

import pytest

from asr_hf.cli.options import CONFIG_DIR, split_options
from asr_hf.runtime.errors import InputError

KNOWN = {"--format": ["text", "json"], "--output": "a folder", **CONFIG_DIR}


def test_options_stand_anywhere_and_folders_of_configuration_as_often_as_wanted():
    given = ["--config-dir", "a", "exp/x", "--format=json", "-", "-cd", "b c", "k=v"]
    options, folders, others = split_options("verb", given, KNOWN)
    assert options == {"--format": "json"}
    assert folders == ["--config-dir", "a", "-cd", "b c"]
    assert others == ["exp/x", "-", "k=v"]


@pytest.mark.parametrize(
    ("given", "known", "said"),
    [
        (["--formt", "text"], KNOWN, "did you mean --format?"),
        (["--format", "doc"], KNOWN, "one of text, json"),
        (["--output"], KNOWN, "a folder"),
        (["--config-dir", "a"], {"--output": "a folder"}, "no option --config-dir"),
    ],
)
def test_what_is_wrong_is_said(given, known, said):
    with pytest.raises(InputError) as caught:
        split_options("verb", given, known)
    assert said in str(caught.value)
