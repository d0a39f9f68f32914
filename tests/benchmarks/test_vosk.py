"""The comparison of Vosk with `asr-hf decode`."""

from __future__ import annotations

import pytest

from benchmarks.vosk import Word, agreement, errors, words_of


def said(*words: tuple[str, float, float]) -> list[Word]:
    return [Word(*word) for word in words]


def test_words_are_matched_and_their_times_compared():
    ours = {
        "one": said(("a", 0.0, 0.3), ("b", 0.3, 0.6), ("c", 0.6, 0.9)),
        "two": said(("a", 0.0, 0.3)),
    }
    theirs = {"one": said(("a", 0.0, 0.33), ("x", 0.33, 0.6), ("c", 0.72, 0.9))}
    found = agreement(ours, theirs)
    assert (found["words"], found["their_words"], found["same_words"]) == (4, 3, 2)
    assert (found["times"], found["near_times"]) == (4, 3)
    assert found["largest_distance"] == pytest.approx(0.12)
    assert found["median_distance"] == pytest.approx(0.015)


def test_nothing_in_common_has_no_times():
    found = agreement({"one": said(("a", 0.0, 0.3))}, {})
    assert found["same_words"] == found["times"] == 0 and found["largest_distance"] is None


def test_errors_are_counted_over_all_references():
    words = {"one": said(("a", 0.0, 0.3), ("b", 0.3, 0.6))}
    assert errors({"one": ["a", "c"], "two": ["a"]}, words) == 2


def test_words_of_a_ctm_are_by_recording(tmp_path):
    path = tmp_path / "words.ctm"
    path.write_text("one 1 0.25 0.50 a 0.9\ntwo 1 0.00 0.30 b\n")
    assert words_of(path) == {"one": said(("a", 0.25, 0.75)), "two": said(("b", 0.0, 0.3))}
