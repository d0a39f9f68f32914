"""Numerators of transcripts, against a walk through all that may be said."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product

import pytest

from asr_hf.data.transcript_graph import TranscriptGraph
from asr_hf.hmm.chain.denominator import PhoneStates, denominator_graph
from asr_hf.hmm.chain.phone_lm import START, phone_lm, train_phone_lm
from asr_hf.hmm.chain.spoken_phones import (
    PARTS,
    Pauses,
    SpokenPhones,
    expected_counts,
    pair_counts,
)
from asr_hf.hmm.chain.transcripts import TranscriptNumerators
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.tree.sampled_states import STAYS
from asr_hf.hmm.tree.untied import untied_tree

SIL, A, X, B = 1, 2, 3, 4
PAUSES = Pauses(SIL, between=0.2, at_ends=0.8)
# Pronunciations of each word; the words of the third may be told from one another by pauses alone.
SAID = [
    [[[A, X]], [[X], [X, A]]],
    [[[B]], [[A, B], [A]], [[X]]],
    [[[A], [A, A]], [[A, A], [A]]],
    [[[SIL]], [[A]]],
]


def ways(spoken: SpokenPhones) -> Counter[tuple[int, ...]]:
    """The probability of each sequence of phones."""
    found: Counter[tuple[int, ...]] = Counter()
    stack = [(0, (), 1.0)]
    while stack:
        place, phones, share = stack.pop()
        found[phones] += share * spoken.ends[place]
        assert sum(p for _, _, p in spoken.steps[place]) + spoken.ends[place] == pytest.approx(1)
        stack += [(to, (*phones, phone), share * p) for phone, to, p in spoken.steps[place]]
        assert all(to > place for _, to, _ in spoken.steps[place])
    return Counter({phones: p for phones, p in found.items() if p})


def by_hand(words: list, pauses: Pauses) -> Counter[tuple[int, ...]]:
    """The same, word by word and pause by pause."""
    found: Counter[tuple[int, ...]] = Counter()
    places = [pauses.at_ends, *[pauses.between] * (len(words) - 1), pauses.at_ends]
    for chosen in product(*words):
        for silent in product(range(2), repeat=len(places)):
            phones, share = [SIL] * silent[0], 1.0
            for word, pause in zip(chosen, silent[1:], strict=True):
                phones += [*word, *[SIL] * pause]
            for probability, pause in zip(places, silent, strict=True):
                share *= probability if pause else 1 - probability
            found[tuple(phones)] += share / math.prod(map(len, words))
    return Counter({phones: p for phones, p in found.items() if p})


@pytest.mark.parametrize("words", SAID)
@pytest.mark.parametrize("pauses", [PAUSES, Pauses(SIL, 0.0, 1.0), Pauses(SIL, 1.0, 0.0)])
def test_a_transcript_is_every_way_to_say_it(words, pauses):
    found, expected = ways(SpokenPhones.of(words, pauses)), by_hand(words, pauses)
    assert found.keys() == expected.keys()
    for phones, share in expected.items():
        assert found[phones] == pytest.approx(share)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_expected_counts_are_means_over_all_ways(order):
    expected: Counter = Counter()
    for words in SAID:
        for phones, share in by_hand(words, PAUSES).items():
            padded = [START, *phones]
            for place in range(1, len(padded)):
                history = tuple(padded[max(0, place + 1 - order) : place])
                expected[history, padded[place]] += share
    counts = expected_counts([SpokenPhones.of(words, PAUSES) for words in SAID], order)
    found = {(h, p): n / PARTS for h, following in counts.items() for p, n in following.items()}
    assert found.keys() == expected.keys()
    for key, share in expected.items():
        assert found[key] == pytest.approx(share, abs=2 / PARTS)
    if order == 2:
        pairs = pair_counts([SpokenPhones.of(words, PAUSES) for words in SAID])
        assert pairs == {(h[0], p): n for (h, p), n in found.items()}


def test_a_sentence_said_in_one_way_is_counted_as_ever():
    sentences = [[A, X, A], [X, A, B, A, X]]
    never = Pauses(SIL, 0.0, 0.0)
    spoken = [SpokenPhones.of([[[phone]] for phone in s], never) for s in sentences]
    assert phone_lm(expected_counts(spoken, 4), 4, 5) == train_phone_lm(sentences, 4, 5)


@pytest.fixture
def spoken() -> list[SpokenPhones]:
    return [SpokenPhones.of(words, PAUSES) for words in SAID]


@pytest.fixture(params=["mono", "left"])
def states(request, spoken) -> PhoneStates:
    pairs = pair_counts(spoken) if request.param == "left" else None
    tree = untied_tree(B, [SIL], pairs, 0.3)
    return PhoneStates(phone_lm(expected_counts(spoken, 4), 4, 4), tree)


def number_of_pdfs(states: PhoneStates) -> int:
    return states._tree.num_pdfs


def walked(graph: TranscriptGraph) -> dict[tuple[int, ...], float]:
    """The weight of each sequence of pdfs that has as many frames as the utterance."""
    found: Counter[tuple[int, ...]] = Counter()
    stack = [(0, (), 1.0)]
    while stack:
        place, pdfs, weight = stack.pop()
        state = graph.states[place]
        if len(pdfs) == graph.num_frames:
            found[pdfs] += weight * state["final"]
            continue
        if state["stay"]:
            stack.append((place, (*pdfs, int(state["rest"])), weight * state["stay"]))
        for _, to, share in graph.arcs[graph.arcs["source"] == place].tolist():
            stack.append((to, (*pdfs, int(graph.states["first"][to])), weight * share))
    return {pdfs: weight for pdfs, weight in found.items() if weight}


def expected_paths(words: list, states: PhoneStates, frames: int) -> Counter[tuple[int, ...]]:
    """The same from the language model: sequence by sequence, duration by duration."""
    found: Counter[tuple[int, ...]] = Counter()
    for phones in by_hand(words, PAUSES):
        weight, state = 1.0, 0
        for phone in phones:
            weight *= states.leaving(state, phone)
            state = states.after(states.lm.states[state], phone)
        for ends in product(range(2), repeat=frames - 1):
            if sum(ends) != len(phones) - 1:
                continue
            pdfs, number = [], 0
            for frame in range(frames):
                enters = frame == 0 or ends[frame - 1]
                number += frame > 0 and ends[frame - 1]
                pair = ([START, *phones][number], phones[number])
                pdfs.append(states.first_pdf(*pair) if enters else states.rest_pdf(*pair))
            found[tuple(pdfs)] += weight * STAYS ** (frames - len(phones))
    return found


@pytest.mark.parametrize("number", range(len(SAID)))
@pytest.mark.parametrize("frames", [5, 7])
def test_a_graph_holds_each_way_once_with_the_denominators_weight(states, spoken, number, frames):
    graph = denominator_graph(states, number_of_pdfs(states))
    made = TranscriptNumerators(states, graph.initial[0], every=3).make(
        "u", spoken[number], 3 * frames - 1
    )
    made.check(number_of_pdfs(states))
    assert made.num_frames == frames
    found, expected = walked(made), expected_paths(SAID[number], states, frames)
    assert found.keys() == {pdfs for pdfs, weight in expected.items() if weight}
    for pdfs, weight in found.items():
        assert weight == pytest.approx(expected[pdfs] * graph.initial[0])


def said_by(graph, frames: int) -> dict[tuple[int, ...], float]:
    """The weight of each sequence of pdfs in the denominator, from its first state."""
    paths: Counter = Counter({((), 0): float(graph.initial[0])})
    for _ in range(frames):
        ahead: Counter = Counter()
        for (pdfs, state), weight in paths.items():
            for arc in graph.arcs[graph.arcs["source"] == state]:
                ahead[(*pdfs, int(arc["pdf"])), int(arc["target"])] += weight * float(arc["weight"])
        paths = ahead
    found: Counter = Counter()
    for (pdfs, _), weight in paths.items():
        found[pdfs] += weight
    return found


@pytest.mark.parametrize("number", range(len(SAID)))
def test_what_was_said_is_never_likelier_than_everything(states, spoken, number):
    graph = denominator_graph(states, number_of_pdfs(states))
    made = TranscriptNumerators(states, graph.initial[0], every=1).make("u", spoken[number], 5)
    everything = said_by(graph, 5)
    for pdfs, weight in walked(made).items():
        assert weight <= everything[pdfs] * (1 + 1e-9)


def test_utterances_with_fewer_frames_than_phones_are_refused(states, spoken):
    start = denominator_graph(states, number_of_pdfs(states)).initial[0]
    maker = TranscriptNumerators(states, start, 3)
    assert maker.make("u", spoken[1], 7).num_frames == 3
    with pytest.raises(AlignmentError, match="3 phones in 2 frames"):
        maker.make("u", spoken[1], 6)


def test_phones_that_were_never_said_after_one_another_cost_but_do_not_fail(states, spoken):
    start = denominator_graph(states, number_of_pdfs(states)).initial[0]
    maker = TranscriptNumerators(states, start, 1)
    unheard = maker.make("u", SpokenPhones.of([[[B, B, B]]], PAUSES), 9)
    assert unheard.arcs["weight"].min() < 1e-4
    unheard.check(number_of_pdfs(states))


def test_states_are_as_many_as_contexts_that_are_often_met():
    assert untied_tree(3).num_pdfs == 6
    pairs = {(0, 2): 5.0, (1, 2): 20.0, (2, 1): 20.0, (3, 2): 12.0}
    tree = untied_tree(3, [1], pairs, 10)
    assert tree.width == 2 and tree.num_pdfs == 2 * (3 + 2)
    own = {tree.pdf((before, 2), state) for before in (1, 3) for state in range(2)}
    shared = {tree.pdf((before, 2), state) for before in (0, 2) for state in range(2)}
    assert len(own) == 4 and len(shared) == 2 and not own & shared
    assert tree.pdf((2, 1), 0) == tree.pdf((0, 1), 0)
    everywhere = untied_tree(2, [], dict.fromkeys(product(range(3), (1, 2)), 9.0), 1)
    assert everywhere.num_pdfs == 2 * 2 * 3
