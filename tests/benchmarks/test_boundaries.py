"""Figures of boundaries, from words whose times are known."""

from __future__ import annotations

import numpy as np
import pytest

from asr_hf.hmm.alignment.boundaries import Spread
from asr_hf.hmm.alignment.segments import Segment
from asr_hf.hmm.alignment.times import FrameTimes, SpokenPhone
from benchmarks.boundaries.corpus import spoken_in
from benchmarks.boundaries.festival import Phone, _told
from benchmarks.boundaries.measure import Errors, _Comparison, pooled


def sure(frame):
    return Spread(np.array([frame]), np.array([1.0]))


def phone(label, first, count):
    return SpokenPhone(Segment(label, first, count), sure(first), sure(first + count))


def test_begins_count_and_ends_before_pauses_and_words_said_otherwise_do_not():
    errors = Errors()
    found = [
        ("a", [phone("x", 10, 5), phone("y", 15, 5)]),
        ("b", [phone("x", 30, 10)]),
        ("c", [phone("z", 40, 10)]),
    ]
    truth = [
        ("a", (Phone("x", 0.105, 0.15), Phone("y", 0.15, 0.2))),
        ("b", (Phone("x", 0.35, 0.4),)),
        ("c", (Phone("y", 0.4, 0.5),)),
    ]
    _Comparison(errors, FrameTimes(0.01, 0.025), 100).add(found, truth)
    # Two begins and an end of a, a begin of b; c was said otherwise.
    assert (errors.words, errors.other_words, len(errors.held)) == (3, 1, 4)
    np.testing.assert_allclose(errors.errors["path"], [-0.005, 0, 0, -0.05], atol=1e-9)
    np.testing.assert_allclose(errors.errors["median"], [-0.0075, -0.0025, -0.0025, -0.0525])
    figures = pooled([errors, Errors()]).figures()
    assert figures["within_ms"]["median"] == {"10": 0.75, "20": 0.75, "50": 0.75}
    assert figures["held_by_intervals"] == 0.5 and figures["confidence_promised"] == 1


def test_what_festival_tells_is_read_and_a_phone_that_a_voice_adds_is_its_word_s(tmp_path):
    (tmp_path / "ked0001.txt").write_text(
        "W Her 0.2\nW ear 0.5\nP pau 0 0.2\nP hh 0.2 0.3\nP er 0.3 0.4\nP r 0.4 0.5\n"
        "P ih 0.500001 0.6\nP pau 0.6 0.8\n"
    )
    spoken = _told(tmp_path, 1, "ked")
    assert [(word, [p.label for p in phones]) for word, phones in spoken.words] == [
        ("her", ["hh", "er", "r"]),
        ("ear", ["ih"]),
    ]
    assert spoken.words[1][1][0] == Phone("ih", pytest.approx(0.5, abs=1e-4), 0.6)


def test_names_of_utterances_tell_sentence_and_condition():
    assert spoken_in("kal-noisy-kal0003-noisy") == ("kal0003", "noisy")
