"""States tied in context: transition model, graphs and alignment."""

from __future__ import annotations

import numpy as np
import pytest

from asr_hf.hmm.alignment.spoken_path import Transcript, TranscriptGraphs
from asr_hf.hmm.gmm.gmm import Gmm
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.search.search import align
from asr_hf.hmm.system import HmmSystem
from asr_hf.kaldi.reader import KaldiReader
from asr_hf.kaldi.transition_model import KaldiTransitionModel
from asr_hf.kaldi.tree import PDF_CLASS, ContextDependency, Leaf, Node, Split, Table
from asr_hf.runtime.errors import InputError

from .. import kaldi_decoders

SIL, A, X = 1, 2, 3
STATES = {SIL: 5, A: 3, X: 3}


def tree_of(roots: dict[tuple[int, int], Node]) -> ContextDependency:
    """A tree of triphones with the given node for each phone and state."""
    phones = [
        Table(PDF_CLASS, tuple(roots[p, s] for s in range(count))) for p, count in STATES.items()
    ]
    return ContextDependency(3, 1, Table(1, (None, *phones)))


def leaves() -> dict[tuple[int, int], Node]:
    """A pdf of its own for each state of each phone."""
    numbers = iter(range(sum(STATES.values())))
    return {(p, s): Leaf(next(numbers)) for p, count in STATES.items() for s in range(count)}


@pytest.fixture
def without_context() -> ContextDependency:
    return tree_of(leaves())


@pytest.fixture
def tree() -> ContextDependency:
    """Both neighbours of `a` matter, and what comes before `x`; pdfs in no order."""
    roots: dict[tuple[int, int], Node] = {(SIL, s): Leaf(s) for s in range(5)}
    before_a = Split(0, (0, SIL), Leaf(12), Split(0, (X,), Leaf(6), Leaf(9)))
    roots |= {(A, 0): before_a, (A, 1): Leaf(7), (A, 2): Split(2, (X,), Leaf(8), Leaf(5))}
    roots |= {(X, 0): Split(0, (A,), Leaf(13), Leaf(10)), (X, 1): Leaf(14), (X, 2): Leaf(11)}
    return tree_of(roots)


def pdfs_of(tree: ContextDependency, phones: list[int]) -> list[int]:
    """The pdfs of all states of a string of phones, each in its context."""
    padded = [0, *phones, 0]
    windows = zip(padded, phones, padded[2:], strict=False)
    return [tree.pdf(w, state) for w in windows for state in range(STATES[w[1]])]


def best(system: HmmSystem, scores, words: list[str]):
    graph = TranscriptGraphs(system).graph("u", Transcript(words, "en"))
    return align(system.transitions, graph, scores, "u", acoustic_scale=1.0, beams=(1000.0, 2000.0))


def test_a_tree_without_questions_is_the_monophone_model(system, without_context, arpa):
    tied = system.tied(without_context)
    for model in (system.transitions, tied.transitions):
        model.update(np.random.default_rng(1).integers(1, 99, model.num_transition_ids + 1))
    for name in ("pdf_of", "phone_of", "state_of", "is_self_loop", "is_final", "log_probs"):
        expected, found = (getattr(s.transitions, name) for s in (system, tied))
        np.testing.assert_array_equal(found, expected, err_msg=name)
    random = np.random.default_rng(0)
    graphs = [s.languages["en"].decoding_graph(arpa, s.transitions) for s in (system, tied)]
    for _ in range(5):
        scores = random.normal(0, 3, (30, 11)).astype(np.float32)
        mono, same = (best(s, scores, ["x", "ax", "x"]) for s in (system, tied))
        np.testing.assert_array_equal(same.transition_ids, mono.transition_ids)
        assert (same.words, same.score) == (mono.words, pytest.approx(mono.score, abs=5e-3))
        mono, same = (
            kaldi_decoders.best_path(s.transitions, graph, scores)
            for s, graph in zip((system, tied), graphs, strict=True)
        )
        np.testing.assert_array_equal(same.transition_ids, mono.transition_ids)
        assert (same.words, same.score) == (mono.words, pytest.approx(mono.score, abs=5e-3))


def test_transition_ids_are_numbered_as_in_kaldis_files(system, tree):
    """A model file's ids follow from its tuples (phone, state, pdf), which are sorted."""
    tied = system.tied(tree).transitions
    tuples = sorted(
        (p, s, pdf) for p, n in STATES.items() for s in range(n) for pdf in tree.possible_pdfs(p, s)
    )
    lines = "".join(f"{p} {s} {pdf}\n" for p, s, pdf in tuples)
    zeros = " ".join(["0"] * (tied.num_transition_ids + 1))
    text = (
        f"<TransitionModel>\n{tied.topology}<Triples> {len(tuples)}\n{lines}</Triples>\n"
        f"<LogProbs>\n [ {zeros} ]\n</LogProbs>\n</TransitionModel>\n"
    )
    kaldi = KaldiTransitionModel.read(KaldiReader(text.encode(), "final.mdl", binary=False))
    for name in ("pdf_of", "phone_of", "is_self_loop", "is_final"):
        np.testing.assert_array_equal(getattr(tied, name), getattr(kaldi, name), err_msg=name)


@pytest.mark.parametrize(
    ("words", "phones"),
    [
        (["ax"], [A, X]),
        (["a", "x"], [A, X]),
        (["x", "a"], [SIL, X, A]),
        (["a", "x", "a"], [SIL, A, SIL, X, A, SIL]),
        (["ax", "ax"], [A, X, A, X]),
        (["x", "x"], [X, X, A]),
    ],
)
def test_each_phone_has_the_pdfs_of_its_context(system, tree, arpa, scores_for, words, phones):
    tied = system.tied(tree)
    expected = np.repeat(pdfs_of(tree, phones), 2)
    scores = scores_for(expected, tree.num_pdfs)
    found = best(tied, scores, words)
    np.testing.assert_array_equal(tied.transitions.pdf_of[found.transition_ids], expected)
    graph = tied.languages["en"].decoding_graph(arpa, tied.transitions)
    decoded = kaldi_decoders.best_path(tied.transitions, graph, scores)
    np.testing.assert_array_equal(tied.transitions.pdf_of[decoded.transition_ids], expected)


def test_scores_of_paths_are_those_of_the_transitions_on_them(system, tree, scores_for):
    """The lexicon's part aside, which is the same for both paths."""
    tied = system.tied(tree).transitions
    tied.update(np.random.default_rng(2).integers(1, 99, tied.num_transition_ids + 1))
    self_loop = np.zeros(tied.num_pdfs + 1)
    leave = np.zeros(tied.num_transition_ids + 1)
    for number in range(1, tied.num_transition_ids + 1):
        if tied.is_self_loop[number]:
            self_loop[tied.state_of[number]] = tied.log_probs[number]
    for number in range(1, tied.num_transition_ids + 1):
        if not tied.is_self_loop[number]:
            stay = self_loop[tied.state_of[number]]
            leave[number] = tied.log_probs[number] - 0.9 * np.log1p(-np.exp(stay))
    weights = np.where(tied.is_self_loop, 0.1 * tied.log_probs, leave)
    again = HmmSystem(system.phones, tied, system.languages)
    totals = []
    for repeats in (2, 4):
        expected = np.repeat(pdfs_of(tree, [A, X, A, X]), repeats)
        found = best(again, scores_for(expected, tied.num_pdfs), ["ax", "ax"])
        totals.append(found.score - weights[found.transition_ids].sum())
    assert totals[0] == pytest.approx(totals[1], abs=1e-4)
    # No pause in three places, which halves the probability each time; minimising the graph
    # rounds weights to multiples of 2^-10.
    assert totals[0] == pytest.approx(3 * np.log(0.5), abs=2e-3)


def test_saved_and_loaded_it_is_the_same_bit_for_bit(system, tree, arpa, tmp_path):
    tied = system.tied(tree)
    tied.transitions.update(
        np.random.default_rng(0).integers(1, 500, tied.transitions.num_transition_ids + 1)
    )
    tied.gmm = Gmm.single(np.zeros(3), np.ones(3), tree.num_pdfs)
    tied.save(tmp_path)
    again = HmmSystem.load(tmp_path)
    assert again.transitions.tree == tree
    assert again.transitions.log_probs.tobytes() == tied.transitions.log_probs.tobytes()
    for one, name in ((tied, "one"), (again, "two")):
        fsts.write(one.languages["en"].decoding_graph(arpa, one.transitions), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_tree_left_over_from_another_system_is_not_read(system, tree, tmp_path):
    system.tied(tree).save(tmp_path)
    system.save(tmp_path)
    assert HmmSystem.load(tmp_path).transitions.num_pdfs == 11


def test_graphs_are_made_again_when_the_tree_changes(system, tree, without_context, arpa, tmp_path):
    for one in (tree, without_context):
        system.tied(one).make_graphs(tmp_path, {"en": arpa})
    transitions = system.tied(without_context).transitions
    graph = fsts.read(tmp_path / "graph" / "en" / "HCLG.fst")
    assert max(fsts.input_labels(graph)) <= transitions.num_transition_ids


@pytest.mark.parametrize(
    ("place", "node", "message"),
    [
        ((A, 0), Leaf(99), r"100 pdfs, 89 of them for no state"),
        ((A, 0), Leaf(-1), r"11 pdfs, 1 of them for no state"),
        ((X, 2), Table(0, ()), r"no pdf for state 2 of phone 3|1 of them for no state"),
    ],
)
def test_trees_that_do_not_fit_are_refused(system, without_context, place, node, message):
    roots = leaves()
    roots[place] = node
    with pytest.raises(InputError, match=message):
        TransitionModel(system.transitions.topology, tree=tree_of(roots))


def test_a_context_without_an_answer_is_named(system):
    roots = leaves()
    roots[A, 0] = Table(0, (None, roots[A, 0]))
    tied = system.tied(tree_of(roots))
    with pytest.raises(InputError, match=r"state 0 of phones \[3, 2, \d\]"):
        TranscriptGraphs(tied).graph("u", Transcript(["x", "a"], "en"))
