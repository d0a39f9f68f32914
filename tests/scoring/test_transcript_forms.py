"""Subtitles and the other forms of transcriptions."""

from __future__ import annotations

import json

from asr_hf.scoring.transcript_forms import as_ctm, as_json, as_srt, as_text, as_vtt, cues
from asr_hf.scoring.transcription import SpokenWord, Transcription


def spoken(*words: str, start: float = 0.0, length: float = 0.3, gap: float = 0.1):
    return [
        SpokenWord(word, begin, begin + length, 0.5)
        for number, word in enumerate(words)
        for begin in [start + number * (length + gap)]
    ]


def test_a_cue_ends_at_a_pause_and_before_it_is_too_long():
    words = [*spoken("a", "b"), *spoken("c", start=1.5)]
    assert [[w.word for w in cue] for cue in cues(words)] == [["a", "b"], ["c"]]
    many = cues(spoken(*["word"] * 60))
    assert sum(map(len, many)) == 60
    for cue in many:
        assert len(" ".join(w.word for w in cue)) <= 84 and cue[-1].end - cue[0].start <= 7
    # A word that is longer than a cue stands alone.
    assert len(cues(spoken("x" * 100, "y"))) == 2
    assert cues([]) == []


def test_subtitles_have_their_times_and_two_lines_at_most():
    words = spoken(*["seven"] * 12, start=3599.8)
    one = Transcription("a.wav", 4000.0, "xx", words)
    first, second, *lines = as_srt([one]).splitlines()
    assert first == "1" and second == "00:59:59,800 --> 01:00:04,500"
    assert lines == ["seven seven seven seven seven seven"] * 2
    assert as_vtt([one]).startswith("WEBVTT\n\n00:59:59.800 --> 01:00:04.500\nseven ")


def test_text_json_and_ctm_hold_the_same_words():
    found = [
        Transcription("b c.wav", 1.0, "xx", spoken("é", "b")),
        Transcription("a.wav", 1.0, "xx", spoken("c"), [0.5]),
    ]
    assert as_text(found) == "b c.wav\té b\na.wav\tc\n" and as_text(found[1:]) == "c\n"
    first, second = json.loads(as_json(found))["recordings"]
    assert first["text"] == "é b" and first["words"][1]["start"] == 0.4
    assert second["unfinished"] == [0.5] and second["confidence"] == 0.5
    assert as_ctm(found).splitlines() == [
        "a 1 0.00 0.30 c 0.500",
        "b_c 1 0.00 0.30 é 0.500",
        "b_c 1 0.40 0.30 b 0.500",
    ]
