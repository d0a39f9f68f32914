"""What is skipped is said once, by cause."""

from __future__ import annotations

import logging

import pytest

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.skips import SkipList


def said(caplog: pytest.LogCaptureFixture) -> str:
    text = "\n".join(record.getMessage() for record in caplog.records)
    caplog.clear()
    return text


def test_causes_are_listed_with_the_first_utterances_they_hold_for(caplog):
    skips = SkipList("packing", 0.5)
    for number in range(5):
        skips.add(f"u{number}", f"u{number}: no path in {100 + number} frames")
    skips.add("v", "no audio")
    skips.check(100)
    assert said(caplog) == (
        "packing: 6 of 100 utterances skipped:\n"
        "    u0: no path in 100 frames; likewise u1, u2 and 2 more\n"
        "    v: no audio"
    )


def test_what_was_said_is_not_said_again(caplog):
    caplog.set_level(logging.WARNING)
    skips = SkipList("tying", 0.5)
    skips.add("a", "no path")
    skips.check(10)
    assert "tying: 1 of 10 utterances skipped" in said(caplog)
    skips.check(10)
    assert said(caplog) == ""
    skips.add("b", "no path")
    skips.check(10)
    assert said(caplog) == "tying: 1 more of 10 utterances skipped:\n    b: no path"


def test_what_the_stage_before_said_counts_and_is_not_said_again(caplog):
    skips = SkipList("packing", 0.2, "alignment.max_skipped", {"a": "no alignment"}, {"a"})
    skips.check(10)
    assert said(caplog) == ""
    skips.add("b", "no frames")
    skips.check(10)
    assert said(caplog) == "packing: 1 more of 10 utterances skipped:\n    b: no frames"
    skips.add("c", "no frames")
    with pytest.raises(InputError, match="3 of 10") as error:
        skips.check(10)
    assert "a: no alignment" in str(error.value) and "alignment.max_skipped" in str(error.value)
