"""Errors say each thing once."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from asr_hf.hmm.graph.lexicon import read_lexicon
from asr_hf.runtime.errors import InputError, RunError


def system_error(path) -> OSError:
    try:
        path.read_bytes()
    except OSError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize("name", ["there.txt", "it's.txt", "données 1.txt"])
def test_a_file_that_a_message_begins_with_is_not_named_again(tmp_path, name):
    path = tmp_path / name
    error = InputError(f"{path}: cannot be read: {system_error(path)}", remedy="make it")
    assert str(error).splitlines()[0] == f"{path}: cannot be read: No such file or directory"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_file_that_is_named_nowhere_else_stays():
    error = RunError(f"the table: {system_error(Path('/nowhere/x'))}")
    assert str(error) == "the table: No such file or directory: /nowhere/x"


def test_a_reader_that_hands_on_what_the_system_says_names_its_file_once(tmp_path):
    with pytest.raises(InputError) as caught:
        read_lexicon(tmp_path / "lexicon.txt", "en")
    assert str(caught.value).count("lexicon.txt") == 1
