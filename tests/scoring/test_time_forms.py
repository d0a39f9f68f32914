"""TextGrids as Praat reads them, and the other forms of times."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.data.times import Boundary, TimedPhone, TimedRecording, TimedUtterance, TimedWord
from asr_hf.runtime.errors import InputError
from asr_hf.scoring.ctm import read_ctm
from asr_hf.scoring.textgrid import Interval, Tier, textgrid
from asr_hf.scoring.time_forms import as_ctms, as_jsons, as_textgrids, check_names

from .praat import read_textgrid


def boundary(time, confidence=0.9):
    return Boundary(time, time - 0.004, time + 0.006, confidence)


def word(label, *times, confidence=0.9):
    phones = [
        TimedPhone(f"{label}{n}", boundary(start, confidence), boundary(end))
        for n, (start, end) in enumerate(pairwise(times))
    ]
    return TimedWord(label, tuple(phones))


def recording(name="r", seconds=3.0, **utterances):
    made = [
        TimedUtterance(key, speaker, words[0].begin.time, tuple(words))
        for key, (speaker, *words) in utterances.items()
    ]
    return TimedRecording(name, name, "1", seconds, tuple(made))


def test_words_and_phones_are_tiers_and_pauses_empty_intervals():
    one = recording(u=("s", word("say", 0.5, 0.6, 0.75), word("no", 0.75, 1.0)))
    ((name, text),) = as_textgrids([one])
    end, (words, phones) = read_textgrid(text)
    assert name == "r.TextGrid" and end == 3 and (words.name, phones.name) == ("words", "phones")
    assert words.intervals == [(0, 0.5, ""), (0.5, 0.75, "say"), (0.75, 1, "no"), (1, 3, "")]
    assert [p[2] for p in phones.intervals] == ["", "say0", "say1", "no0", ""]


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)


@given(st.lists(st.tuples(st.integers(1, 10**6), texts, st.booleans()), max_size=8), texts)
def test_any_text_and_any_times_come_back(pieces, name):
    at, intervals = 0, []
    for length, label, spoken in pieces:
        if spoken:
            intervals.append(Interval(at / 1e6, (at + length) / 1e6, label))
        at += length
    seconds = (at + 1) / 1e6
    end, (tier,) = read_textgrid(textgrid([Tier(name, intervals)], seconds))
    assert end == seconds and tier.name == name
    assert tier.spoken == [(i.start, i.end, i.label) for i in intervals]


@pytest.mark.parametrize(
    "times", [[(0.0, 1.0), (0.9, 1.5)], [(1.0, 1.0)], [(0.5, 2.5)], [(-0.1, 0.2)]]
)
def test_intervals_that_overlap_or_leave_the_audio_are_refused(times):
    with pytest.raises(ValueError, match="tier words"):
        textgrid([Tier("words", [Interval(*span, "a") for span in times])], 2.0)


def test_speakers_and_overlaps_have_tiers_of_their_own():
    one = recording(
        a=("anna", word("one", 0.1, 0.5)),
        b=("bert", word("two", 0.4, 0.9)),
        c=("anna", word("three", 0.6, 1.0)),
        d=("anna", word("four", 0.9, 1.2)),
    )
    ((_, text),) = as_textgrids([one])
    _, tiers = read_textgrid(text)
    assert {tier.name: [i[2] for i in tier.spoken] for tier in tiers[::2]} == {
        "anna - words": ["one", "three"],
        "bert - words": ["two"],
        "anna 2 - words": ["four"],
    }
    assert [tier.name for tier in tiers[1::2]] == [
        "anna - phones",
        "bert - phones",
        "anna 2 - phones",
    ]


def test_a_word_ends_with_the_audio():
    ((_, text),) = as_textgrids([recording(seconds=0.9, u=("s", word("a", 0.5, 1.0)))])
    _, (words, _) = read_textgrid(text)
    assert words.intervals == [(0, 0.5, ""), (0.5, 0.9, "a")]


def test_ctm_has_milliseconds_and_the_lower_confidence(tmp_path):
    found = [
        recording("b", u=("s", word("yes", 0.1234, 0.5, confidence=0.7))),
        recording("a", u=("s", word("no", 0.2, 0.3, 0.4))),
    ]
    files = dict(as_ctms(found))
    assert files["words.ctm"].splitlines() == [
        "a 1 0.200 0.200 no 0.900",
        "b 1 0.123 0.377 yes 0.700",
    ]
    (tmp_path / "phones.ctm").write_text(files["phones.ctm"])
    assert [w.word for w in read_ctm(tmp_path / "phones.ctm")] == ["no0", "no1", "yes0"]


def test_json_has_an_interval_for_each_boundary():
    ((name, text),) = as_jsons([recording("x/y", u=("s", word("é", 0.1, 0.2, 0.3)))])
    value = json.loads(text)
    assert name == "x_y.json" and value["recording"] == "x/y" and "é" in text
    (said,) = value["utterances"][0]["words"]
    assert said["start"] == 0.1 and said["end_interval"] == [0.296, 0.306]
    assert [p["phone"] for p in said["phones"]] == ["é0", "é1"]
    assert said["phones"][0]["end_confidence"] == 0.9


def test_recordings_whose_files_would_be_one_are_refused():
    check_names(["a", "b/c", "a"])
    with pytest.raises(InputError, match="recordings b/c and b_c"):
        check_names(["b/c", "b_c"])
