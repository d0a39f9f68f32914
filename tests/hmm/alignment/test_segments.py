"""Where phones and words lie on paths, with self-loops before or behind."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_hf.hmm.alignment.segments import Segment, ctm_lines, phone_spans, word_segments


def test_words_that_the_phones_do_not_spell_have_no_segments(lexicon):
    phones = [Segment("en_x", 0, 3)]
    assert word_segments(phones, ["a"], lexicon.pronunciations) is None
    assert word_segments(phones, ["x", "a"], lexicon.pronunciations) is None


def test_ctm_is_in_seconds():
    assert ctm_lines("u", [Segment("yes", 12, 30)], 0.01) == "u 1 0.120 0.300 yes\n"


def reordered(path, transitions):
    """The path as in Kaldi's graphs: what leaves a state comes before its self-loops."""
    pieces, start = [], 0
    for end in np.flatnonzero(~transitions.is_self_loop[path]):
        pieces += [path[end : end + 1], path[start:end]]
        start = end + 1
    return np.concatenate(pieces)


@given(st.lists(st.sampled_from(["en_a", "en_x", "sil"]), min_size=1, max_size=5), st.data())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_self_loops_may_stand_before_or_behind(system, phones, data):
    transitions, path, expected = system.transitions, [], []
    for phone in phones:
        start, number = len(path), system.phones.id(phone)
        pdfs = transitions.pdfs_of_phone(number)
        if phone == "sil":
            # Its inner states have transitions to one another.
            pdfs = pdfs[[0, -1]]
        for pdf in pdfs:
            mine = np.flatnonzero(
                (transitions.pdf_of == pdf) & (np.arange(len(transitions.pdf_of)) > 0)
            )
            loop = [i for i in mine if transitions.is_self_loop[i]]
            leave = [i for i in mine if not transitions.is_self_loop[i]][-1:]
            path += loop * data.draw(st.integers(0, 3)) + leave
        expected.append((number, start, len(path) - start))
    ours = np.asarray(path, np.int32)
    assert phone_spans(ours, transitions) == expected
    assert phone_spans(reordered(ours, transitions), transitions) == expected


def test_words_without_phones_take_no_time():
    phones = [Segment("1", 0, 4), Segment("2", 4, 3), Segment("3", 7, 2)]
    entries = {"<eps>": [("1",)], "yes": [("2", "3")], "<s>": [()]}
    assert word_segments(phones, ["<s>", "yes", "<s>"], entries, entries["<eps>"]) in (
        [Segment("<s>", 0, 0), Segment("yes", 4, 5), Segment("<s>", 9, 0)],
        [Segment("<s>", 4, 0), Segment("yes", 4, 5), Segment("<s>", 9, 0)],
    )
