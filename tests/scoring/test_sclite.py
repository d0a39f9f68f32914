"""Agreement with NIST's sclite."""

from __future__ import annotations

import random
import stat
from pathlib import Path

import pytest

from asr_hf.runtime.errors import RunError
from asr_hf.scoring.alignment import EditCounts
from asr_hf.scoring.sclite import (
    ScliteComparison,
    compare_with_sclite,
    parse_raw_summary,
    sclite_command,
)

needs_sclite = pytest.mark.skipif(
    sclite_command() is None, reason="NIST sclite is not installed (Debian package sctk)"
)


def random_tables(seed: int) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    rng = random.Random(seed)
    vocabulary = [*"abcdefghij", "Ünï", "чай", "{", "/", "(hm)", "a/b", "*", "@", ";;", "A"]
    refs, hyps = {}, {}
    for index in range(60):
        ref = rng.choices(vocabulary, k=rng.randint(0, 9))
        hyp = [rng.choice(vocabulary) if rng.random() < 0.3 else word for word in ref]
        for _ in range(rng.randint(0, 2)):
            if hyp and rng.random() < 0.5:
                hyp.pop(rng.randrange(len(hyp)))
            else:
                hyp.insert(rng.randint(0, len(hyp)), rng.choice(vocabulary))
        refs[f"speaker {index} (odd)"], hyps[f"speaker {index} (odd)"] = ref, hyp
    return refs, hyps


@needs_sclite
@pytest.mark.parametrize("seed", range(4))
def test_sclite_agrees(seed: int) -> None:
    compared = compare_with_sclite(*random_tables(seed))
    assert compared is not None
    assert compared.theirs.words > 100
    assert compared.agree, compared


@needs_sclite
def test_missing_hypotheses_are_deletions_for_both() -> None:
    compared = compare_with_sclite({"a": ["x", "y"], "b": ["z"]}, {"b": ["z"]})
    assert compared == ScliteComparison(EditCounts(0, 2, 0, 3), EditCounts(0, 2, 0, 3))


def test_without_sclite_there_is_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert compare_with_sclite({"a": ["x"]}, {"a": ["x"]}) is None


def fake_sclite(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "sclite"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_failing_sclite_is_named_with_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_sclite(tmp_path, monkeypatch, "echo 'no such transcript' >&2; exit 3")
    with pytest.raises(RunError, match="sclite failed with status 3: no such transcript"):
        compare_with_sclite({"a": ["x"]}, {"a": ["x"]})


def test_an_answer_without_totals_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_sclite(tmp_path, monkeypatch, "echo hello")
    with pytest.raises(RunError, match="no row of totals"):
        compare_with_sclite({"a": ["x"]}, {"a": ["x"]})


def test_other_counts_of_the_same_cost_agree_but_fewer_words_do_not() -> None:
    assert ScliteComparison(EditCounts(3, 0, 0, 9), EditCounts(0, 2, 2, 9)).agree
    assert not ScliteComparison(EditCounts(3, 0, 0, 9), EditCounts(3, 0, 0, 8)).agree
    assert not ScliteComparison(EditCounts(3, 0, 0, 9), EditCounts(2, 0, 0, 9)).agree


def test_totals_are_read_off_a_summary() -> None:
    text = """
        | SPKR | # Snt # Wrd | Corr    Sub    Del    Ins    Err  S.Err |
        | s    |    2      5 |    3      1      1      0      2      2 |
        |======|=============|=========================================|
        | Sum  |   12   1505 | 1303     71    131     20    222     11 |
        | Mean |  2.0    5.0 |  3.0    1.0    1.0    0.0    2.0    2.0 |
    """
    assert parse_raw_summary(text) == EditCounts(71, 131, 20, 1505)
