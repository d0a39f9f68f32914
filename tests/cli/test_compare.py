"""The verb compare."""

from __future__ import annotations

import csv
import io
import json

import pytest

from ..report.conftest import hf_events, sgd_events, write_run


@pytest.fixture
def runs(tmp_path):
    for name, events in (("a", hf_events(3)), ("b", sgd_events(3)), ("c=1,d=2", hf_events(2))):
        write_run(tmp_path / "exp" / name, events)
    return tmp_path / "exp"


def test_a_folder_of_runs_and_no_folder_are_all_runs_on_one_page(asr_hf, runs):
    for arguments in ([], ["exp"], ["paths.exp=exp"]):
        outcome = asr_hf("compare", *arguments)
        assert outcome.code == 0, outcome.err
        assert all(f"| {name} " in outcome.out for name in ("a", "b", "c=1,d=2"))
        assert "exp/compare.html" in outcome.out
        (runs / "compare.html").unlink()


def test_runs_that_are_named_are_compared_alone(asr_hf, runs):
    outcome = asr_hf("compare", "exp/c=1,d=2", "exp/a")
    assert outcome.code == 0 and "| b " not in outcome.out
    assert "exp/compare.html" in outcome.out and (runs / "compare.html").is_file()


def test_json_and_csv_go_to_standard_output_or_to_a_file(asr_hf, runs, tmp_path):
    assert len(json.loads(asr_hf("compare", "exp", "--format", "json").out)["runs"]) == 3
    assert len(list(csv.DictReader(io.StringIO(asr_hf("compare", "exp", "--format=csv").out)))) == 3
    assert asr_hf("compare", "exp", "--format", "json", "--output", "new.json").out == ""
    assert len(json.loads((tmp_path / "new.json").read_text())["runs"]) == 3
    assert asr_hf("compare", "exp", "--format=html", "--output=x.html").code == 0
    assert (tmp_path / "x.html").is_file() and not (runs / "compare.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["exp/none"], "exp/none: no such folder"),
        (["exp", "--format", "xml"], "one of text, html, json, csv"),
        (["exp", "--format"], "one of text, html, json, csv"),
        (["exp", "--formt=csv"], "did you mean --format?"),
        (["data"], "no run there"),
        (["paths.epx=exp"], "did you mean paths.exp=exp?"),
    ],
)
def test_what_is_no_folder_and_no_option_is_refused(asr_hf, runs, tmp_path, arguments, said):
    (tmp_path / "data").mkdir()
    outcome = asr_hf("compare", *arguments)
    assert outcome.code == 2 and said in outcome.err


def test_a_damaged_run_is_named_and_only_damaged_ones_are_an_error(asr_hf, runs):
    (runs / "a" / "events.jsonl").write_text("not json\n")
    outcome = asr_hf("compare", "exp")
    assert outcome.code == 0 and "a (damaged)" in outcome.out
    assert "a: events.jsonl:1: not an event" in outcome.out
    outcome = asr_hf("compare", "exp/a")
    assert outcome.code == 2 and "events.jsonl:1" in outcome.err
