"""The phone language model against counts by hand and against trying every history."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.hmm.chain.phone_lm import START, PhoneLm, longest_known, train_phone_lm

SENTENCES = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=8), min_size=1, max_size=8)


def log_likelihood(lm: PhoneLm, sentences: list[list[int]]) -> float:
    """Of the sentences, phone by phone; the end of a sentence costs nothing."""
    total, numbers = 0.0, lm.numbers
    for sentence in sentences:
        history = [START]
        for phone in sentence:
            state = longest_known(history, numbers)
            total += math.log(lm.follows[state][phone])
            history.append(phone)
    return total


@given(SENTENCES)
def test_without_long_histories_it_is_a_trigram_of_counts(sentences):
    lm = train_phone_lm(sentences, order=4, more_states=0)
    counts: dict[tuple[int, ...], Counter[int]] = {}
    for sentence in sentences:
        padded = [START, *sentence]
        for place in range(1, len(padded)):
            counts.setdefault(tuple(padded[max(0, place - 2) : place]), Counter())[
                padded[place]
            ] += 1
    assert lm.states[0] == (START,)
    for state, follows in zip(lm.states, lm.follows, strict=True):
        expected = counts.get(state, Counter())
        assert follows == {p: n / expected.total() for p, n in expected.items()}
    ends = {tuple([START, *sentence][-2:]) for sentence in sentences}
    assert set(lm.states) == counts.keys() | ends


@given(SENTENCES, st.integers(3, 6), st.integers(0, 8))
@settings(max_examples=60)
def test_from_state_to_state_every_sentence_can_be_said(sentences, order, more):
    lm = train_phone_lm(sentences, order, more)
    for sentence in sentences:
        state: int | None = 0
        for phone in sentence:
            assert state is not None and phone in lm.follows[state]
            state = longest_known((*lm.states[state], phone), lm.numbers)


@given(SENTENCES, st.integers(3, 5), st.integers(0, 6))
@settings(max_examples=60)
def test_every_state_is_a_distribution_and_more_states_never_fit_worse(sentences, order, more):
    lm = train_phone_lm(sentences, order, more)
    for follows in lm.follows:
        assert not follows or sum(follows.values()) == pytest.approx(1.0)
    assert all(1 <= len(state) < order for state in lm.states)
    assert sum(len(state) > 2 for state in lm.states) <= more
    fewer = train_phone_lm(sentences, order, max(0, more - 1))
    better, worse = log_likelihood(lm, sentences), log_likelihood(fewer, sentences)
    assert better >= worse - 1e-9


@given(SENTENCES)
@settings(max_examples=60)
def test_the_first_long_history_is_the_best_there_is(sentences):
    found = train_phone_lm(sentences, order=4, more_states=1)
    histories = {
        tuple([START, *s][place - 3 : place]) for s in sentences for place in range(3, len(s) + 1)
    }
    best = log_likelihood(train_phone_lm(sentences, 4, 0), sentences)
    for history in histories:
        best = max(best, _with_history(sentences, history))
    assert log_likelihood(found, sentences) == pytest.approx(best, abs=1e-9)


def _with_history(sentences: list[list[int]], history: tuple[int, ...]) -> float:
    """The likelihood of a trigram that tells one longer history apart."""
    counts: dict[tuple[int, ...], Counter[int]] = {}
    events = []
    for sentence in sentences:
        padded = [START, *sentence]
        for place in range(1, len(padded)):
            past = tuple(padded[:place])
            state = history if past[-3:] == history else past[-2:]
            counts.setdefault(state, Counter())[padded[place]] += 1
            events.append((state, padded[place]))
    return sum(math.log(counts[s][p] / counts[s].total()) for s, p in events)


def test_with_all_histories_it_knows_the_sentences_by_heart():
    sentences = [[1, 2, 3, 1], [2, 2, 3, 2], [1, 2, 2, 1]]
    lm = train_phone_lm(sentences, order=4, more_states=100)
    # Nothing else comes before these two phones, so that a longer history would tell nothing.
    assert (START, 1, 2) not in lm.numbers
    assert lm.follows[lm.numbers[1, 2]] == {3: 0.5, 2: 0.5}
    assert lm.follows[lm.numbers[1, 2, 3]] == {1: 1.0}


def test_nothing_to_count_and_short_orders_are_refused():
    with pytest.raises(ValueError, match="no sentence"):
        train_phone_lm([], 4, 0)
    with pytest.raises(ValueError, match="3 or more"):
        train_phone_lm([[1]], 2, 0)
