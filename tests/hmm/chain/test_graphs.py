"""Denominator and numerators against a walk through everything that may be said."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_hf.data.denominator_graph import DenominatorGraph
from asr_hf.hmm.chain.denominator import PhoneStates, denominator_graph
from asr_hf.hmm.chain.numerators import NumeratorMaker
from asr_hf.hmm.chain.phone_lm import START, longest_known, train_phone_lm
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.lattice.lattice_paths import log_paths
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.tree.sampled_states import CHAIN
from asr_hf.kaldi.tree import PDF_CLASS, ContextDependency, Leaf, Node, Split, Table
from asr_hf.runtime.errors import InputError

SIL, A, X = 1, 2, 3
SENTENCES = [[SIL, A, X, SIL], [A, X, X, A], [SIL, X, A, SIL], [A, A, X]]
SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def tree() -> ContextDependency:
    """What comes before matters for the first frame of `a` and for the others of `x`."""
    kinds: dict[int, tuple[Node, ...]] = {SIL: (Leaf(0), Leaf(1))}
    kinds[A] = Split(0, (0, SIL), Leaf(2), Leaf(3)), Leaf(4)
    kinds[X] = Leaf(5), Split(0, (A,), Leaf(6), Leaf(7))
    tables = [Table(PDF_CLASS, kinds[phone]) for phone in (SIL, A, X)]
    return ContextDependency(2, 1, Table(1, (None, *tables)))


@pytest.fixture
def states(tree) -> PhoneStates:
    return PhoneStates(train_phone_lm(SENTENCES, order=4, more_states=2), tree)


@pytest.fixture
def graph(states) -> DenominatorGraph:
    return denominator_graph(states, 8)


def walked(
    graph: DenominatorGraph, frames: int, anywhere: bool = False
) -> dict[tuple[int, ...], float]:
    """The probability of each sequence of pdfs from the start of a sentence, or from anywhere."""
    paths = {((), 0): 1.0}
    if anywhere:
        paths = {((), state): float(weight) for state, weight in enumerate(graph.initial)}
    for _ in range(frames):
        ahead: dict[tuple[tuple[int, ...], int], float] = {}
        for (pdfs, state), weight in paths.items():
            for arc in graph.arcs[graph.arcs["source"] == state]:
                place = (*pdfs, int(arc["pdf"])), int(arc["target"])
                ahead[place] = ahead.get(place, 0.0) + weight * float(arc["weight"])
        paths = ahead
    found: dict[tuple[int, ...], float] = {}
    for (pdfs, _), weight in paths.items():
        found[pdfs] = found.get(pdfs, 0.0) + weight
    return found


def said(states: PhoneStates, tree: ContextDependency, frames: int) -> dict[tuple[int, ...], float]:
    """The same, phone by phone and frame by frame, without a graph."""
    found: dict[tuple[int, ...], float] = {}
    numbers = states.lm.numbers
    for count in range(1, frames + 1):
        for phones in product((SIL, A, X), repeat=count):
            weight, history = 1.0, [START]
            for phone in phones:
                state = longest_known(history, numbers)
                weight *= states.lm.follows[state].get(phone, 0.0) if state is not None else 0.0
                history.append(phone)
            if not weight:
                continue
            for ends in product(range(2), repeat=frames - 1):
                if sum(ends) != count - 1:
                    continue
                # A phone goes on or ends after each frame, with 0.5; the last one may do either.
                pdfs, number = [], 0
                for frame in range(frames):
                    first = frame == 0 or ends[frame - 1]
                    number += frame > 0 and ends[frame - 1]
                    before = history[number]
                    pdfs.append(tree.pdf((before, history[number + 1]), 0 if first else 1))
                key = tuple(pdfs)
                found[key] = found.get(key, 0.0) + weight * 0.5 ** (frames - 1)
    return found


@pytest.mark.parametrize("frames", [1, 3, 5])
def test_the_denominator_says_what_the_language_model_and_the_states_say(
    states, tree, graph, frames
):
    expected, found = said(states, tree, frames), walked(graph, frames)
    assert found.keys() == expected.keys()
    for pdfs, weight in expected.items():
        assert found[pdfs] == pytest.approx(weight)


def test_starts_are_a_distribution_over_states_that_are_met(graph, tmp_path):
    assert graph.initial.sum() == pytest.approx(1.0)
    assert graph.initial[0] == pytest.approx(0.01, rel=0.1)
    graph.save(tmp_path)
    again = DenominatorGraph.load(tmp_path, "")
    np.testing.assert_array_equal(again.arcs, graph.arcs)
    np.testing.assert_array_equal(again.initial, graph.initial)


def test_trees_that_look_ahead_are_refused(states):
    ahead = ContextDependency(3, 1, Leaf(0))
    with pytest.raises(InputError, match="over 3 phones"):
        PhoneStates(states.lm, ahead)


@pytest.fixture
def maker_of(system, states, tree, graph):
    transitions = TransitionModel(CHAIN.topology(system.phones), tree=tree)

    def make(
        every: int = 1, tolerance: int = 0, piece: int | None = None
    ) -> tuple[NumeratorMaker, TransitionModel]:
        maker = NumeratorMaker(states, graph.initial, transitions, every, tolerance, piece)
        return maker, transitions

    return make


def ways(lattice, transitions: TransitionModel) -> dict[tuple[int, ...], float]:
    """The pdfs and the log weight of every path."""
    found: dict[tuple[int, ...], float] = {}
    stack: list[tuple[int, tuple[int, ...], float]] = [(0, (), 0.0)]
    while stack:
        state, pdfs, weight = stack.pop()
        if state in lattice.finals["state"]:
            found[pdfs] = np.logaddexp(found.get(pdfs, -np.inf), weight)
        for arc in lattice.arcs[lattice.arcs["source"] == state]:
            pdf = int(transitions.pdf_of[arc["label"]])
            stack.append((int(arc["target"]), (*pdfs, pdf), weight + float(arc["graph"])))
    return found


SPOKEN = st.lists(
    st.tuples(st.sampled_from([SIL, A, X]), st.integers(1, 3)), min_size=1, max_size=3
)


@given(SPOKEN, st.integers(1, 3), st.integers(0, 4), st.integers(0, 2))
@SETTINGS
def test_numerators_hold_just_what_the_tolerance_allows(
    maker_of, tree, spoken, every, tolerance, phase
):
    maker, transitions = maker_of(every, tolerance)
    starts = np.cumsum([0, *(frames for _, frames in spoken)])
    spans = [(p, int(s), n) for (p, n), s in zip(spoken, starts, strict=False)]
    phase = min(phase, every - 1, int(starts[-1]) - 1)
    emitted = -(-(int(starts[-1]) - phase) // every)
    expected = set()
    for way in product(range(len(spoken)), repeat=emitted):
        steps = np.diff([-1, *way, len(spoken)])
        if way[0] != 0 or way[-1] != len(spoken) - 1 or not set(steps.tolist()) <= {0, 1}:
            continue
        near = all(
            (starts[k] - tolerance <= every * t + phase or k == 0)
            and (every * t + phase < starts[k + 1] + tolerance or k == len(spoken) - 1)
            for t, k in enumerate(way)
        )
        if near:
            phones = [0, *(p for p, _ in spoken)]
            expected.add(
                tuple(
                    tree.pdf((phones[k], phones[k + 1]), int(t > 0 and way[t - 1] == k))
                    for t, k in enumerate(way)
                )
            )
    if not expected:
        with pytest.raises(AlignmentError, match="too fast"):
            maker.make("u", spans, phase)
        return
    (lattice,) = maker.make("u", spans, phase)
    lattice.check(transitions.num_transition_ids)
    assert lattice.num_frames == emitted
    assert set(ways(lattice, transitions)) == expected


def test_what_was_said_is_at_most_as_likely_as_everything(maker_of, graph):
    maker, transitions = maker_of()
    everything = walked(graph, 5)
    for spans in (
        [(SIL, 0, 1), (A, 1, 2), (X, 3, 1), (SIL, 4, 1)],
        [(A, 0, 2), (X, 2, 2), (X, 4, 1)],
    ):
        (lattice,) = maker.make("u", spans)
        assert math.exp(log_paths(lattice)) == pytest.approx(1.0)
        for pdfs, weight in ways(lattice, transitions).items():
            assert weight - math.log(graph.initial[0]) <= math.log(everything[pdfs]) + 1e-6
    (exact,) = maker.make("u", [(A, 0, 2), (A, 2, 1), (X, 3, 2)])
    (weight,) = ways(exact, transitions).values()
    (pdfs,) = ways(exact, transitions)
    assert weight - math.log(graph.initial[0]) == pytest.approx(
        math.log(everything[pdfs]), abs=1e-5
    )


def test_phones_that_the_language_model_never_saw_together_cost_but_do_not_fail(maker_of):
    maker, _ = maker_of()
    (known,) = maker.make("u", [(SIL, 0, 2), (A, 2, 2)])
    (unknown,) = maker.make("u", [(SIL, 0, 2), (SIL, 2, 2), (A, 4, 1)])
    assert unknown.arcs["graph"].min() < math.log(2e-5) < known.arcs["graph"].min()
    assert np.isfinite(unknown.arcs["graph"]).all()


@given(SPOKEN, st.integers(1, 3), st.integers(0, 4), st.integers(1, 4))
@SETTINGS
def test_pieces_hold_the_parts_of_what_whole_utterances_hold(
    maker_of, graph, spoken, every, tolerance, piece
):
    (whole_maker, transitions), (maker, _) = (
        maker_of(every, tolerance),
        maker_of(every, tolerance, piece),
    )
    starts = np.cumsum([0, *(frames for _, frames in spoken)])
    spans = [(p, int(s), n) for (p, n), s in zip(spoken, starts, strict=False)]
    try:
        (whole,) = whole_maker.make("u", spans)
    except AlignmentError:
        return
    allowed, begin = ways(whole, transitions), 0
    pieces = maker.make("u", spans)
    lengths = [lattice.num_frames for lattice in pieces]
    assert max(lengths) - min(lengths) <= 1
    assert len(pieces) == max(1, round(whole.num_frames / piece))
    for lattice in pieces:
        lattice.check(transitions.num_transition_ids)
        end = begin + lattice.num_frames
        found = ways(lattice, transitions)
        assert found.keys() == {pdfs[begin:end] for pdfs in allowed}
        everything = walked(graph, lattice.num_frames, anywhere=True)
        for pdfs, weight in found.items():
            # Where the language model lacks what was said, the numerator has it all the same.
            assert weight <= math.log(max(everything.get(pdfs, 0.0), 2e-5)) + 1e-5
        begin = end
    assert begin == whole.num_frames


def test_a_piece_begins_in_a_phone_with_the_probability_that_it_has_before_the_first_frame(
    maker_of, states, graph
):
    maker, transitions = maker_of(piece=2)
    spans = [(A, 0, 2), (A, 2, 1), (X, 3, 3)]
    (whole,) = maker_of()[0].make("u", spans)
    first, second, third = maker.make("u", spans)
    arcs = whole.arcs["graph"].astype(np.float64)
    inside = [states.after((START,), A), states.after((START, A, A), X)]
    before = np.log(graph.initial[inside])
    for lattice, expected in (
        (first, arcs[:2].sum()),
        (second, arcs[2:4].sum() + before[0]),
        (third, arcs[4:].sum() + before[1]),
    ):
        (weight,) = ways(lattice, transitions).values()
        assert weight == pytest.approx(expected, abs=1e-5)
