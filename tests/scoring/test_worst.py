"""The list of worst utterances."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asr_hf.scoring.alignment import word_alignment
from asr_hf.scoring.worst import format_alignment, format_utterance, worst_utterances

REFS = {
    "fine": ["yes"],
    "long": ["one", "two", "three", "four", "five", "six"],
    "short": ["one", "two"],
    "worst": ["press", "one", "now", "please"],
    "lost": ["gone"],
}
HYPS = {
    "fine": ["yes"],
    "long": ["one", "two", "three", "four"],
    "short": [],
    "worst": ["dress", "a", "now", "peas", "peas"],
}


def test_most_errors_first_of_equals_the_shorter_and_none_without() -> None:
    names = [one.name for one in worst_utterances(REFS, HYPS, 10)]
    assert names == ["worst", "short", "long", "lost"]
    assert [one.name for one in worst_utterances(REFS, HYPS, 2)] == ["worst", "short"]


def test_three_aligned_lines() -> None:
    alignment = word_alignment(["i", "want", "the", "operator"], ["i", "wand", "operator", "now"])
    assert format_alignment(alignment).splitlines() == [
        "REF:  i want the operator ***",
        "HYP:  i wand *** operator now",
        "EVAL:   S    D            I",
    ]


def test_counts_are_spelled_out() -> None:
    (only,) = worst_utterances({"u": ["a", "b"]}, {"u": ["a"]}, 5)
    assert format_utterance(only).splitlines()[0] == "u: 1 error in 2 words (1 deleted)"


words = st.lists(st.text(alphabet="abé", min_size=1, max_size=9), max_size=30)


@given(words, words, st.integers(20, 60))
def test_lines_keep_to_the_width_and_lose_no_word(
    ref: list[str], hyp: list[str], width: int
) -> None:
    lines = format_alignment(word_alignment(ref, hyp), width).splitlines()
    assert all(len(line) <= width for line in lines)
    for label, spoken in (("REF:", ref), ("HYP:", hyp)):
        shown = [w for line in lines if line.startswith(label) for w in line.split()[1:]]
        assert [w for w in shown if set(w) != {"*"}] == spoken
