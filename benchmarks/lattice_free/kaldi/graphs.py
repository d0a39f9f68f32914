"""Denominators and numerators to compare on: of made-up phones, and those of a corpus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.denominator_graph import DenominatorGraph
from asr_hf.data.lattice import Lattice
from asr_hf.data.lattice_store import LatticeStore
from asr_hf.hmm.chain.denominator import PhoneStates, denominator_graph
from asr_hf.hmm.chain.numerators import NumeratorMaker, Span
from asr_hf.hmm.chain.phone_lm import START, train_phone_lm
from asr_hf.hmm.graph.lexicon import SymbolTable
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.tree.sampled_states import CHAIN
from asr_hf.kaldi.tree import PDF_CLASS, ContextDependency, Leaf, Split, Table
from asr_hf.runtime.errors import InputError

_REMEDY = "asr-hf align +stage=lfmmi makes such a folder"
_SENTENCES, _SHORTEST, _LONGEST = 300, 10, 30
# Frames of a phone, on average, and by how many it may begin earlier or end later.
_LASTS, _TOLERANCE = 3, 2


@dataclass(frozen=True)
class Graphs:
    """A denominator with numerators of its corpus.

    Args:
        name: name in the results.
        denominator: the denominator.
        numerators: returns numerators of some sequences, all of one length, of about as many frames
            as it is given; the labels are pdfs, from 1.
    """

    name: str
    denominator: DenominatorGraph
    numerators: Callable[[int, int], list[Lattice]]


def made_up(seed: int, phones: int) -> Graphs:
    """Make graphs of random sentences, by the makers that `asr-hf align` uses.

    Each phone has two pdfs for its first frame and two for the others, by the phone before.

    Args:
        seed: seed of the sentences and the tree.
        phones: number of phones.

    Returns:
        The graphs.
    """
    random = np.random.default_rng(seed)
    sentences = _sentences(random, phones)
    tree = _tree(random, phones)
    states = PhoneStates(train_phone_lm(sentences, 4, 5 * phones), tree)
    graph = denominator_graph(states, tree.num_pdfs)
    names = SymbolTable(("<eps>", *(f"p{phone}" for phone in range(1, phones + 1))))
    transitions = TransitionModel(CHAIN.topology(names), tree=tree)
    maker = NumeratorMaker(states, graph.initial, transitions, 1, _TOLERANCE)

    def numerators(count: int, frames: int) -> list[Lattice]:
        chosen = random.choice(len(sentences), count, replace=False)
        return [
            _with_pdfs(whole, transitions.pdf_of)
            for number in chosen.tolist()
            for whole in maker.make(f"sentence-{number}", _spans(random, sentences[number], frames))
        ]

    return Graphs(f"{phones} made-up phones", graph, numerators)


def of_corpus(folder: Path, of_set: str) -> Graphs:
    """Read the graphs of a corpus.

    Args:
        folder: its folder graphs-chain3.
        of_set: set whose numerators are taken.

    Returns:
        The graphs.

    Raises:
        InputError: they are missing or damaged.
    """
    store = LatticeStore.open(folder / of_set)
    by_length: dict[int, list[Lattice]] = {}
    for name in store.utterances:
        for piece in store.pieces(name):
            by_length.setdefault(piece.num_frames, []).append(piece)

    def numerators(count: int, frames: int) -> list[Lattice]:
        enough = [length for length, pieces in by_length.items() if len(pieces) >= count]
        if not enough:
            raise InputError(
                f"{store.folder}: no {count} numerators of one length",
                expected=f"{count} utterances of equally many frames",
                remedy="name a larger set: --set NAME",
            )
        length = min(enough, key=lambda one: abs(one - frames))
        return [_with_pdfs(piece, store.pdf_of) for piece in by_length[length][:count]]

    denominator = DenominatorGraph.load(folder / "denominator", _REMEDY)
    return Graphs(folder.parent.name, denominator, numerators)


def _sentences(random: np.random.Generator, phones: int) -> list[list[int]]:
    """Draw sentences in which few phones may follow each."""
    follows = random.dirichlet(np.full(phones, 0.2), phones)
    sentences = []
    for _ in range(_SENTENCES):
        phone = int(random.integers(phones))
        sentence = [phone + 1]
        for _ in range(int(random.integers(_SHORTEST, _LONGEST))):
            phone = int(random.choice(phones, p=follows[phone]))
            sentence.append(phone + 1)
        sentences.append(sentence)
    return sentences


def _tree(random: np.random.Generator, phones: int) -> ContextDependency:
    pdfs = iter(range(2 * CHAIN.count * phones))
    before = np.arange(START, phones + 1)

    def split() -> Split:
        chosen = before[random.random(len(before)) < 0.5]
        return Split(0, tuple(chosen.tolist()), Leaf(next(pdfs)), Leaf(next(pdfs)))

    of_phones = [
        Table(PDF_CLASS, tuple(split() for _ in range(CHAIN.count))) for _ in range(phones)
    ]
    return ContextDependency(2, 1, Table(1, (None, *of_phones)))


def _spans(random: np.random.Generator, sentence: list[int], frames: int) -> list[Span]:
    """Say a sentence, or its beginning, in some frames."""
    said = sentence[: max(1, frames // _LASTS)]
    cuts = 1 + np.sort(random.choice(frames - 1, len(said) - 1, replace=False))
    starts = [0, *cuts.tolist()]
    ends = [*starts[1:], frames]
    return [(p, start, end - start) for p, start, end in zip(said, starts, ends, strict=True)]


def _with_pdfs(lattice: Lattice, pdf_of: NDArray[np.int32]) -> Lattice:
    """Label arcs with pdfs, from 1, where they have transition ids."""
    arcs = lattice.arcs.copy()
    arcs["label"] = pdf_of[arcs["label"]] + 1
    return replace(lattice, arcs=arcs)
