"""Growing decision trees: statistics, questions and splits against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import norm

from asr_hf.hmm.tree import tree_growing
from asr_hf.hmm.tree.tree_growing import grow_tree
from asr_hf.hmm.tree.tree_statistics import (
    ContextStatistics,
    accumulate,
    gaussian,
    log_likelihood,
    questions,
    states_in_context,
)
from asr_hf.runtime.errors import InputError

SIL, P, Q, R, S = 1, 2, 3, 4, 5
PHONE_STATES = {SIL: 2, P: 2, Q: 2, R: 2, S: 2}


def moments(features: np.ndarray) -> np.ndarray:
    return np.concatenate([[len(features)], features.sum(0), (features**2).sum(0)])


def statistics_of(means: dict[tuple[int, int, int, int], float], frames: int = 400):
    """Two-dimensional frames of each context, around a mean of its own."""
    random = np.random.default_rng(0)
    rows = [moments(random.normal([mean, 0], 1, (frames, 2))) for mean in means.values()]
    return ContextStatistics(np.asarray(list(means), np.int64), np.asarray(rows))


@pytest.fixture
def coarticulated() -> ContextStatistics:
    """State 0 of P depends on whether Q or R stands before it; nothing else on anything."""
    means = {}
    for before, after in itertools.product((0, SIL, P, Q, R, S), repeat=2):
        for phone in PHONE_STATES:
            for state in (0, 1):
                shift = 4.0 * ((phone, state) == (P, 0) and before in (Q, R))
                means[before, phone, after, state] = 3.0 * phone + shift
    return statistics_of(means)


ASKED = [frozenset(s) for s in ([0, SIL], [P], [Q], [R], [S], [Q, R], [P, S], [P, Q, R])]


def test_log_likelihood_is_that_of_the_frames_under_their_own_gaussian():
    frames = np.random.default_rng(1).normal([1, -2, 5], [1, 2, 0.5], (200, 3))
    mean, variance = gaussian(moments(frames))
    expected = norm.logpdf(frames, mean, np.sqrt(variance)).sum()
    constant = -0.5 * frames.size * (1 + np.log(2 * np.pi))
    assert log_likelihood(moments(frames)) + constant == pytest.approx(expected)


def test_the_one_question_that_matters_is_asked_and_the_rest_is_tied(coarticulated):
    tree = grow_tree(coarticulated, PHONE_STATES, ASKED, [SIL], 500)
    assert tree.num_pdfs == 11
    for phone, state in itertools.product(PHONE_STATES, (0, 1)):
        found = {
            (before, after): tree.pdf([before, phone, after], state)
            for before, after in itertools.product((0, SIL, P, Q, R, S), repeat=2)
        }
        if (phone, state) != (P, 0):
            assert len(set(found.values())) == 1
            continue
        special = {pdf for (before, _), pdf in found.items() if before in (Q, R)}
        usual = {pdf for (before, _), pdf in found.items() if before not in (Q, R)}
        assert len(special) == len(usual) == 1 and special != usual


def test_phones_share_no_pdfs_and_all_are_used(coarticulated):
    tree = grow_tree(coarticulated, PHONE_STATES, ASKED, [SIL], 500)
    sets = [tree.possible_pdfs(p, s) for p in PHONE_STATES for s in (0, 1)]
    assert sorted(itertools.chain(*sets)) == list(range(tree.num_pdfs))


def test_the_first_question_is_the_best_of_all(monkeypatch):
    monkeypatch.setattr(tree_growing, "LEAST_GAIN", 0.0)
    random = np.random.default_rng(3)
    contexts = list(itertools.product((0, SIL, P, Q, R, S), (P,), (0, SIL, P, Q, R, S), (0,)))
    frames = {c: random.normal(random.normal(0, 2, 2), 1, (60, 2)) for c in contexts}
    statistics = ContextStatistics(
        np.asarray(contexts, np.int64), np.asarray([moments(x) for x in frames.values()])
    )
    tree = grow_tree(statistics, {SIL: 1, P: 1}, ASKED, [SIL], 3)

    def likelihood(keep) -> float:
        mine = np.concatenate([x for c, x in frames.items() if keep(c)])
        return norm.logpdf(mine, mine.mean(0), mine.std(0)).sum()

    gains = {
        (position, phones): likelihood(lambda c, p=position, s=phones: c[p] in s)
        + likelihood(lambda c, p=position, s=phones: c[p] not in s)
        for position, phones in itertools.product((0, 2), ASKED)
    }
    position, phones = max(gains, key=gains.get)
    part = {tree.pdf([b, P, a], 0) for b, _, a, _ in contexts if (b, a)[position // 2] in phones}
    rest = {
        tree.pdf([b, P, a], 0) for b, _, a, _ in contexts if (b, a)[position // 2] not in phones
    }
    assert len(part) == len(rest) == 1 and part != rest


@pytest.mark.parametrize("states", [10, 12, 17, 30])
def test_no_more_leaves_than_wanted_and_the_most_telling_first(states, monkeypatch):
    monkeypatch.setattr(tree_growing, "LEAST_GAIN", 1e-6)
    random = np.random.default_rng(5)
    means = {
        (b, p, a, s): float(random.normal(0, 3))
        for b, p, a, s in itertools.product((0, SIL, P, Q, R, S), PHONE_STATES, (0, P, S), (0, 1))
    }
    statistics = statistics_of(means)
    tree = grow_tree(statistics, PHONE_STATES, ASKED, [SIL], states)
    assert tree.num_pdfs == states

    def fit(tree) -> float:
        windows = statistics.contexts.tolist()
        pdfs = np.asarray([tree.pdf(window, state) for *window, state in windows])
        return sum(log_likelihood(statistics.moments[pdfs == p].sum(0)) for p in set(pdfs))

    fewer = grow_tree(statistics, PHONE_STATES, ASKED, [SIL], 10)
    assert states == 10 or fit(tree) > fit(fewer)


def test_questions_need_data_on_both_sides(coarticulated):
    few = ContextStatistics(coarticulated.contexts, coarticulated.moments / 400)
    assert grow_tree(few, PHONE_STATES, ASKED, [SIL], 500).num_pdfs == 10


def test_fewer_states_than_the_phones_have_are_refused(coarticulated):
    with pytest.raises(InputError, match=r"states=9\n.*10 or more"):
        grow_tree(coarticulated, PHONE_STATES, ASKED, [SIL], 9)


def test_phones_that_sound_alike_become_questions():
    where = {P: 0.0, Q: 0.5, R: 8.0, S: 8.2}
    means = {(0, p, 0, s): m for p, m in where.items() for s in (0, 1)}
    means |= {(0, SIL, 0, s): 20.0 for s in (0, 1)}
    found = questions(statistics_of(means), [SIL])
    assert frozenset([R, S]) in found and frozenset([P, Q]) in found
    assert frozenset([Q, R]) not in found
    assert {frozenset([p]) for p in where} <= set(found) and frozenset([0, SIL]) in found
    assert len(found) == len(set(found))


def test_clustering_merges_the_cheapest_pair_first():
    random = np.random.default_rng(7)
    means = {(0, p, 0, 1): float(random.normal(0, 3)) for p in range(2, 9)}
    statistics = statistics_of(means)
    by_phone = {int(c[1]): m for c, m in zip(statistics.contexts, statistics.moments, strict=True)}
    sets = [frozenset([p]) for p in by_phone]

    def sums(one):
        return sum(by_phone[p] for p in one)

    def cost(pair):
        one, two = pair
        whole = log_likelihood(sums(one) + sums(two))
        return log_likelihood(sums(one)) + log_likelihood(sums(two)) - whole

    expected = []
    while len(sets) > 2:
        one, two = min(itertools.combinations(sets, 2), key=cost)
        sets = [s for s in sets if s not in (one, two)] + [one | two]
        expected.append(one | two)
    found = questions(statistics, [SIL])
    assert [q for q in found if len(q) > 1 and not q & {0, SIL}] == expected


def test_contexts_are_read_off_an_alignment(system):
    transitions = system.transitions
    first = {p: np.flatnonzero(transitions.phone_of == p) for p in (1, 2, 3)}

    def path(phone: int, state: int, self_loop: bool) -> int:
        pdf = transitions.pdfs_of_phone(phone)[state]
        ids = [t for t in first[phone] if transitions.pdf_of[t] == pdf]
        return next(int(t) for t in ids if transitions.is_self_loop[t] == self_loop)

    ids = []
    for phone in (2, 3, 3):
        for state in range(3):
            ids += [path(phone, state, True), path(phone, state, False)]
    found = states_in_context(np.asarray(ids, np.int32), transitions)
    expected = [[0, 2, 3, s] for s in (0, 0, 1, 1, 2, 2)]
    expected += [[2, 3, 3, s] for s in (0, 0, 1, 1, 2, 2)]
    expected += [[3, 3, 0, s] for s in (0, 0, 1, 1, 2, 2)]
    np.testing.assert_array_equal(found, expected)


def test_sums_of_each_context():
    random = np.random.default_rng(9)
    contexts = random.integers(0, 3, (50, 4))
    features = random.normal(size=(50, 3)).astype(np.float32)
    found, rows = accumulate(contexts, features)
    np.testing.assert_array_equal(found.contexts[rows], contexts)
    assert len(np.unique(found.contexts, axis=0)) == len(found.contexts)
    for context, sums in zip(found.contexts, found.moments, strict=True):
        mine = features[(contexts == context).all(axis=1)].astype(np.float64)
        np.testing.assert_allclose(sums, moments(mine), rtol=1e-12)
