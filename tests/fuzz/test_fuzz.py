"""Parsers of outside files: hostile content gives a value or an error that names the file.

`make fuzz` looks for longer, in processes of their own; what it finds is kept in cases/.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json
from scripts.fuzz.mutate import Move, mutated
from scripts.fuzz.parsers import Parser
from scripts.fuzz.registry import BY_NAME
from scripts.fuzz.worker import MEMORY, Bug, check, hunt, limited, sample, write_case
from scripts.results import add_run

CASES = Path(__file__).with_name("cases")
# What is harmless to read now; every other case is refused.
READ = {"prompts/number-of-thousands-of-digits"}
KEPT = sorted(path for path in CASES.glob("*/*") if path.is_dir())
# Composing a configuration and running kaldilm take a second each.
SLOW = ("overrides", "grammar")
MOVES = st.lists(
    st.builds(Move, st.integers(0, 11), st.floats(0, 1, exclude_max=True), st.integers(0, 2**32)),
    max_size=4,
)


@contextmanager
def memory_limit() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    limited(MEMORY)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}

    def get(parser: Parser):
        if parser.name not in made:
            folder = tmp_path_factory.mktemp("fuzz") / parser.name
            made[parser.name] = folder, sample(parser, folder)
        return made[parser.name]

    return get


@pytest.mark.parametrize("name", BY_NAME)
def test_the_files_that_fuzzing_starts_from_are_valid(folders, name):
    folder, valid = folders(BY_NAME[name])
    file = next(iter(valid))
    write_case(BY_NAME[name], folder, valid, file, [])
    assert check(BY_NAME[name], folder)


@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in SLOW])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), moves=MOVES)
def test_mutated_files_are_read_or_refused_by_name(folders, name, data, moves):
    folder, valid = folders(BY_NAME[name])
    file = data.draw(st.sampled_from(sorted(valid)))
    write_case(BY_NAME[name], folder, valid, file, moves)
    with memory_limit():
        check(BY_NAME[name], folder)


@pytest.mark.parametrize("case", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_mended_stays_mended(tmp_path, case):
    parser = BY_NAME[case.parent.name]
    folder = tmp_path / "case"
    sample(parser, folder)
    for path in case.rglob("*"):
        if path.is_file():
            place = folder / path.relative_to(case)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    with memory_limit():
        assert check(parser, folder) == (f"{parser.name}/{case.name}" in READ)


def toy(parse) -> Parser:
    return Parser("toy", lambda folder: (folder / "a.txt").write_text("1 2 3\n"), parse)


def misbehave(how: str, folder: Path) -> None:
    text = (folder / "a.txt").read_bytes()
    if text == b"1 2 3\n":
        return
    if how == "raises":
        raise KeyError(text)
    if how == "names nothing":
        raise InputError("something is wrong")
    if how == "takes memory":
        try:
            bytearray(MEMORY * 2)
        except MemoryError as error:
            raise InputError(f"{folder}: cannot be read") from error
    if how == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "hangs":
        signal.setitimer(signal.ITIMER_PROF, 0.1)
        while True:
            pass


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ("raises", "KeyError"),
        ("names nothing", "names no file"),
        ("takes memory", "memory blown up"),
        ("dies", "SIGKILL"),
        ("hangs", "SIGPROF"),
    ],
)
def test_the_fuzzer_sees_what_it_should(tmp_path, how, found):
    parser, findings = toy(lambda folder: misbehave(how, folder)), []
    total, _ = hunt(parser, tmp_path, "0", 0.5, findings.append)
    assert findings and total
    assert found in findings[0].what


def test_a_sound_parser_is_left_alone(tmp_path):
    findings = []
    total, valid = hunt(toy(lambda folder: None), tmp_path, "0", 0.3, findings.append)
    assert not findings and valid == total > 0


def test_an_error_that_names_its_file_is_no_bug(tmp_path):
    def refuse(folder):
        raise InputError(f"{folder / 'a.txt'}: no")

    parser = toy(refuse)
    sample(parser, tmp_path)
    assert not check(parser, tmp_path)
    with pytest.raises(Bug, match="ZeroDivisionError"):
        check(toy(lambda folder: 1 / 0), tmp_path)


@given(content=st.binary(max_size=200), moves=MOVES)
def test_mutation_is_fixed_by_its_moves_and_never_fails(content, moves):
    start = time.monotonic()
    assert mutated(content, moves, [b"word"]) == mutated(content, moves, [b"word"])
    assert time.monotonic() - start < 5


def test_runs_are_added_to_what_was_recorded(tmp_path):
    path = tmp_path / "results" / "fuzz.json"
    for seed in (3, 4):
        add_run(path, {"seed": seed, "parsers": [{"parser": "toy", "cases": 7}]})
    runs = read_json(path)["runs"]
    assert [run["seed"] for run in runs] == [3, 4]
    assert all(run["machine"]["cores"] and run["parsers"][0]["cases"] == 7 for run in runs)
