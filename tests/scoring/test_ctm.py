"""ctm and stm files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_hf.runtime.errors import InputError
from asr_hf.scoring.ctm import CtmWord, StmSegment, read_ctm, write_ctm, write_stm

hundredths = st.integers(0, 100_000).map(lambda n: n / 100)
ctm_words = st.builds(
    CtmWord,
    recording=st.sampled_from(["r1", "r2"]),
    channel=st.sampled_from(["1", "A"]),
    start=hundredths,
    duration=hundredths,
    word=st.sampled_from(["hello", "чай", "l'été"]),
    confidence=st.none() | st.sampled_from([0.0, 0.5, 1.0]),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(ctm_words, max_size=8))
def test_what_is_written_is_read_back_sorted(tmp_path: Path, words: list[CtmWord]) -> None:
    write_ctm(tmp_path / "hyp.ctm", words)
    expected = sorted(words, key=lambda w: (w.recording, w.channel, w.start))
    assert read_ctm(tmp_path / "hyp.ctm") == expected


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("rec 1 0.0 0.5", "line 2: 4 fields"),
        ("rec 1 0.0 0.5 word 0.9 more", "line 2: 7 fields"),
        ("rec 1 zero 0.5 word", "line 2: could not convert"),
        ("rec 1 -0.1 0.5 word", "line 2: starts at -0.1"),
        ("rec 1 0.1 nan word", "line 2: starts at 0.1 s and lasts nan"),
    ],
)
def test_malformed_lines_are_named(tmp_path: Path, line: str, problem: str) -> None:
    (tmp_path / "bad.ctm").write_text(f";; a comment\n{line}\n")
    with pytest.raises(InputError, match=problem):
        read_ctm(tmp_path / "bad.ctm")


def test_missing_ctm_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.ctm"):
        read_ctm(tmp_path / "absent.ctm")


@pytest.mark.parametrize("word", ["", "two words"])
def test_a_field_that_would_break_the_file_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(InputError, match="is not one word"):
        write_ctm(tmp_path / "hyp.ctm", [CtmWord("rec", "1", 0.0, 1.0, word)])
    assert not (tmp_path / "hyp.ctm").exists()


def test_stm_lines(tmp_path: Path) -> None:
    segments = [
        StmSegment("rec", "1", "ann", 2.0, 3.5, ("so", "long"), label="O,EN"),
        StmSegment("rec", "1", "bob", 0.0, 1.25, ("hi",)),
        StmSegment("rec", "1", "bob", 1.25, 2.0, ()),
    ]
    write_stm(tmp_path / "ref.stm", segments)
    assert (tmp_path / "ref.stm").read_text().splitlines() == [
        "rec 1 bob 0.00 1.25 hi",
        "rec 1 bob 1.25 2.00",
        "rec 1 ann 2.00 3.50 <O,EN> so long",
    ]


def test_stm_segment_that_ends_before_it_starts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="segment of rec"):
        write_stm(tmp_path / "ref.stm", [StmSegment("rec", "1", "ann", 2.0, 1.0, ("hi",))])
