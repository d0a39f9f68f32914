"""One language: its lexicon and grammar as transducers over the joint phones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.arpa import write_plain
from asr_hf.hmm.graph.fst import Fst
from asr_hf.hmm.graph.graphs import decoding_graph
from asr_hf.hmm.graph.lexicon import (
    SILENCE,
    Lexicon,
    SymbolTable,
    disambiguation,
    read_lexicon,
    word_table,
)
from asr_hf.hmm.graph.transitions import TransitionModel

SILENCE_PROBABILITY = 0.5


@dataclass(frozen=True)
class Language:
    """One language's lexicon and word ids, with the phone ids shared by all languages."""

    lexicon: Lexicon
    phones: SymbolTable
    words: SymbolTable = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", word_table(self.lexicon))

    @property
    def name(self) -> str:
        """The language's code, as in utt2lang."""
        return self.lexicon.language

    def lexicon_fst(self) -> Fst:
        """Make L: phones to words, with optional silence at the start and after each word."""
        entries = [
            (self.words.id(word), self.phones.ids(phones))
            for word, variants in self.lexicon.pronunciations.items()
            for phones in variants
        ]
        return _lexicon_fst(entries, [self.phones.id(SILENCE)])

    def decoding_graph(self, arpa: str | os.PathLike[str], transitions: TransitionModel) -> Fst:
        """Make HCLG for the language model in `arpa`.

        Disambiguation symbols get the phone ids after the last phone's: `#0` for the grammar's
        backoff, `#1`... for homophones, and one more that tells the path with silence from the path
        without.

        Returns:
            The graph.

        Raises:
            InputError: the model has a word that the lexicon lacks, or is not an ARPA file.
        """
        numbered, largest = disambiguation(self.lexicon)
        first = len(self.phones)
        entries = [
            (self.words.id(word), self.phones.ids(phones) + [first + n] * (n > 0))
            for word, phones, n in numbered
        ]
        after_silence = first + largest + 1
        lexicon = _lexicon_fst(entries, [self.phones.id(SILENCE), after_silence])
        fsts.loop_symbols(lexicon, first, self.words.id("#0"))
        grammar = fsts.grammar(arpa, self.words)
        both = fsts.optimise(fsts.compose(lexicon, grammar), f"lexicon and grammar of {self.name}")
        return decoding_graph(transitions, both, range(first, after_silence + 1))


def _lexicon_fst(entries: list[tuple[int, list[int]]], silence: list[int]) -> Fst:
    """Make the lexicon transducer: state 0 starts, 1 is between words, 2 is a pause to come.

    Args:
        entries: (word id, phone ids) of every pronunciation.
        silence: labels of a pause, silence first.

    Returns:
        The transducer, L.
    """
    probability = SILENCE_PROBABILITY
    arcs: list[fsts.Arc] = [(0, 1, 0, 0, 1 - probability), (0, 2, 0, 0, probability)]
    states = 3
    pause = [2, *range(states, states + len(silence) - 1), 1]
    states += len(silence) - 1
    arcs += [(pause[i], pause[i + 1], label, 0, 1.0) for i, label in enumerate(silence)]
    for word, phones in entries:
        source = 1
        for position, phone in enumerate(phones[:-1]):
            arcs.append((source, states, phone, word if position == 0 else 0, 1.0))
            source, states = states, states + 1
        output = word if len(phones) == 1 else 0
        arcs.append((source, 1, phones[-1], output, 1 - probability))
        arcs.append((source, 2, phones[-1], output, probability))
    return fsts.build(arcs, [1], states)


def check_languages(folder: Path, languages: Sequence[str]) -> None:
    """Read the lexicons and language models that graphs will be made of, and make nothing.

    Args:
        folder: the folder that holds <language>/lexicon.txt and lm.arpa.
        languages: the corpus's languages.

    Raises:
        InputError: a file cannot be read or is malformed, or a language model does not fit its
            lexicon.
    """
    for name in languages:
        words = word_table(read_lexicon(folder / name / "lexicon.txt", name))
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            write_plain(folder / name / "lm.arpa", words, nowhere)
