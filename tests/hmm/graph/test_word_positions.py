"""Phones marked by their place in the word: the same states, new ids."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from asr_hf.hmm.graph.kaldi_transitions import kaldi_transitions
from asr_hf.hmm.graph.language import Language
from asr_hf.hmm.graph.lexicon import Lexicon
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.graph.word_positions import MarkedPhones
from asr_hf.hmm.system import HmmSystem
from asr_hf.hmm.tree.sampled_states import CHAIN, EDGES
from asr_hf.kaldi.reader import KaldiReader
from asr_hf.kaldi.transition_model import KaldiTransitionModel
from asr_hf.kaldi.tree import PDF_CLASS, ContextDependency, Leaf, Split, Table
from asr_hf.kaldi.writer import KaldiWriter

from .. import kaldi_decoders
from ..conftest import random_scores


def every_third(system: HmmSystem) -> HmmSystem:
    a = Table(
        PDF_CLASS, (Split(0, (3,), Leaf(5), Leaf(2)), Split(2, (0, 1), Leaf(1), Leaf(6)), Leaf(8))
    )
    kinds = (Table(PDF_CLASS, (Leaf(0), Leaf(7), Leaf(9))), a)
    kinds += (Table(PDF_CLASS, (Leaf(3), Leaf(4), Leaf(10))),)
    tree = ContextDependency(3, 1, Table(1, (None, *kinds)))
    transitions = TransitionModel(EDGES.topology(system.phones), tree=tree)
    return HmmSystem(system.phones, transitions, system.languages, subsampling=3)


def chain(system: HmmSystem) -> HmmSystem:
    """States of lattice-free MMI, tied by the phone before."""
    a = Table(
        PDF_CLASS, (Split(0, (3,), Leaf(5), Leaf(2)), Table(0, tuple(map(Leaf, (1, 6, 1, 4)))))
    )
    kinds = (Table(PDF_CLASS, (Leaf(0), Leaf(7))), a, Table(PDF_CLASS, (Leaf(3), Leaf(8))))
    tree = ContextDependency(2, 1, Table(1, (None, *kinds)))
    transitions = TransitionModel(CHAIN.topology(system.phones), tree=tree)
    return HmmSystem(system.phones, transitions, system.languages, subsampling=3)


MADE = {"monophones": lambda system: system, "every third frame": every_third, "chain": chain}


@pytest.fixture(params=MADE)
def known(system, request) -> HmmSystem:
    made = MADE[request.param](system)
    counts = np.random.default_rng(1).integers(1, 99, made.transitions.num_transition_ids + 1)
    made.transitions.update(counts)
    return made


@pytest.fixture
def marked(known) -> MarkedPhones:
    return MarkedPhones.of(known.phones, known.transitions, known.languages)


def test_marks_say_where_a_phone_stands(marked):
    found = marked.languages["en"].lexicon.pronunciations
    assert found["ax"] == (("en_a_B", "en_x_E"),) and found["a"] == (("en_a_S",),)
    boundaries = dict(line.split() for line in marked.word_boundaries().splitlines())
    names = {marked.phones.symbols[int(number)]: kind for number, kind in boundaries.items()}
    assert names["sil"] == "nonword" and names["en_a_B"] == "begin" and names["en_x_E"] == "end"
    assert names["en_a_S"] == "singleton" and len(names) == len(marked.phones) - 1


def test_the_tree_answers_as_for_the_phones_that_are_marked(known, marked):
    tree = marked.transitions.tree
    original = known.transitions.tree
    for window in itertools.product(range(len(marked.phones)), repeat=tree.width):
        phone = window[tree.central]
        if phone == 0:
            continue
        origins = [marked.origin[p] for p in window]
        if original is None:
            expected = known.transitions.pdfs_of_phone(origins[0]).tolist()
            assert [tree.pdf(window, s) for s in range(len(expected))] == expected
            continue
        for pdf_class in (0, 1, 2):
            assert tree.pdf(window, pdf_class) == original.pdf(origins, pdf_class)


def test_paths_score_as_before(known, marked, arpa):
    """The search over marked phones finds the same words by the same states at the same cost."""
    before = known.languages["en"].decoding_graph(arpa, known.transitions)
    after = marked.languages["en"].decoding_graph(arpa, marked.transitions)
    for seed in range(6):
        scores = random_scores(known, 18, seed)
        one = kaldi_decoders.best_path(known.transitions, before, scores)
        other = kaldi_decoders.best_path(marked.transitions, after, scores)
        assert other.words == one.words and other.score == pytest.approx(one.score, abs=1e-2)
        pdfs = [
            t.pdf_of[p.transition_ids]
            for t, p in ((known.transitions, one), (marked.transitions, other))
        ]
        np.testing.assert_array_equal(*pdfs)


@pytest.mark.parametrize("binary", [False, True])
def test_kaldis_file_has_the_same_numbers(marked, binary):
    writer = KaldiWriter(binary)
    kaldi_transitions(marked.transitions).write(writer)
    read = KaldiTransitionModel.read(KaldiReader(writer.contents(), "final.mdl", binary))
    for name in ("pdf_of", "phone_of", "state_of", "is_self_loop", "is_final"):
        expected = getattr(marked.transitions, name)
        np.testing.assert_array_equal(getattr(read, name)[1:], expected[1:], err_msg=name)
    np.testing.assert_allclose(read.log_probs, marked.transitions.log_probs, rtol=1e-6)


def test_phones_of_no_word_keep_their_states(known):
    lexicon = Lexicon("en", {"a": (("en_a",),)})
    few = {"en": Language(lexicon, known.phones)}
    marked = MarkedPhones.of(known.phones, known.transitions, few)
    assert marked.transitions.num_pdfs == known.transitions.num_pdfs
    assert {marked.origin[n] for n in range(len(marked.phones))} == set(range(len(known.phones)))
