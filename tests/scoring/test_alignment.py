"""Word alignment against brute force."""

from __future__ import annotations

from functools import lru_cache

from hypothesis import given
from hypothesis import strategies as st

from asr_hf.scoring.alignment import EditCounts, add_counts, count_errors, word_alignment

words = st.lists(st.sampled_from(["a", "b", "c", "the", "***", "<eps>"]), max_size=7)


def brute_force(ref: list[str], hyp: list[str], substitution: int, gap: int) -> int:
    """Cheapest edit script by plain recursion over every choice."""

    @lru_cache(None)
    def rest(i: int, j: int) -> int:
        if i == len(ref):
            return gap * (len(hyp) - j)
        if j == len(hyp):
            return gap * (len(ref) - i)
        same = 0 if ref[i] == hyp[j] else substitution
        return min(rest(i + 1, j + 1) + same, rest(i + 1, j) + gap, rest(i, j + 1) + gap)

    return rest(0, 0)


@given(words, words)
def test_errors_are_the_fewest_possible(ref: list[str], hyp: list[str]) -> None:
    counts = count_errors(word_alignment(ref, hyp))
    assert counts.errors == brute_force(ref, hyp, 1, 1)


@given(words, words)
def test_sclite_costs_are_the_smallest_possible(ref: list[str], hyp: list[str]) -> None:
    counts = count_errors(word_alignment(ref, hyp, sclite_costs=True))
    cost = 4 * counts.substitutions + 3 * (counts.deletions + counts.insertions)
    assert cost == brute_force(ref, hyp, 4, 3)


@given(words, words)
def test_alignment_spells_out_both_sequences(ref: list[str], hyp: list[str]) -> None:
    alignment = word_alignment(ref, hyp)
    assert [r for r, _ in alignment if r is not None] == ref
    assert [h for _, h in alignment if h is not None] == hyp
    assert (None, None) not in alignment
    counts = count_errors(alignment)
    assert counts.words == len(ref)
    assert counts.insertions - counts.deletions == len(hyp) - len(ref)


def test_kinds_of_error_are_told_apart() -> None:
    alignment = word_alignment(
        ["press", "one", "for", "support"], ["press", "for", "for", "support", "now"]
    )
    assert count_errors(alignment) == EditCounts(1, 0, 1, 4)
    alignment = word_alignment(["press", "one", "for", "support"], ["press", "support"])
    assert alignment == [("press", "press"), ("one", None), ("for", None), ("support", "support")]


def test_counts_add_up() -> None:
    assert add_counts([EditCounts(1, 2, 3, 4), EditCounts(10, 20, 30, 40)]) == EditCounts(
        11, 22, 33, 44
    )
    assert add_counts([]) == EditCounts(0, 0, 0, 0)
