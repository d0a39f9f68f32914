"""One language: its lexicon and grammar as transducers over the joint phones."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from asr_hf.hmm import fst as fsts
from asr_hf.hmm.fst import Fst
from asr_hf.hmm.graphs import decoding_graph
from asr_hf.hmm.lexicon import SILENCE, Lexicon, SymbolTable, disambiguation, word_table
from asr_hf.hmm.transitions import TransitionModel
from asr_hf.runtime.errors import InputError

SILENCE_PROBABILITY = 0.5


@dataclass(frozen=True)
class Language:
    """One language's lexicon, its word ids, and the phone ids shared by all languages."""

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
        """L: phones to words, with optional silence at the start and after each word."""
        entries = [
            (self.words.id(word), self.phones.ids(phones))
            for word, variants in self.lexicon.pronunciations.items()
            for phones in variants
        ]
        return _lexicon_fst(entries, [self.phones.id(SILENCE)])

    def decoding_graph(self, arpa: str | os.PathLike[str], transitions: TransitionModel) -> Fst:
        """HCLG for the language model in `arpa`.

        Disambiguation symbols get the phone ids after the last phone's: `#0` for the grammar's
        backoff, `#1`... for homophones, and one more that tells the silence's path from the path
        without.

        Raises:
            InputError: the model has a word that the lexicon lacks, or is not an ARPA file.
        """
        check_arpa_words(arpa, self.words)
        numbered, largest = disambiguation(self.lexicon)
        first = len(self.phones)
        entries = [
            (self.words.id(word), self.phones.ids(phones) + [first + n] * (n > 0))
            for word, phones, n in numbered
        ]
        after_silence = first + largest + 1
        lexicon = _lexicon_fst(entries, [self.phones.id(SILENCE), after_silence])
        fsts.loop_symbols(lexicon, first, self.words.id("#0"))
        grammar = fsts.grammar(arpa, self.words.text())
        both = fsts.optimise(fsts.compose(lexicon, grammar), f"lexicon and grammar of {self.name}")
        return decoding_graph(transitions, both, range(first, after_silence + 1))


def _lexicon_fst(entries: list[tuple[int, list[int]]], silence: list[int]) -> Fst:
    """The lexicon transducer: state 0 starts, 1 is between words, 2 is a pause to come.

    Args:
        entries: (word id, phone ids) of every pronunciation.
        silence: the labels of a pause, silence first.
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


def arpa_unigrams(path: str | os.PathLike[str]) -> Iterator[tuple[str, float]]:
    """The words of an ARPA model and their log10 probabilities.

    Raises:
        InputError: the file cannot be read, has no unigrams, or a probability is no number.
    """
    try:
        lines = iter(Path(path).read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: the language model cannot be read: {error}", remedy="run asr-hf prepare"
        ) from error
    if not any(line.strip() == "\\1-grams:" for line in lines):
        raise InputError(
            f"{path}: no \\1-grams: section", expected="an ARPA model", remedy="run asr-hf prepare"
        )
    for line in lines:
        fields = line.split()
        if not fields:
            continue
        if fields[0].startswith("\\"):
            return
        try:
            yield fields[1], float(fields[0])
        except (IndexError, ValueError) as error:
            raise InputError(
                f"{path}: bad unigram line {line!r}", expected="log10 probability, word, backoff"
            ) from error


def check_arpa_words(path: str | os.PathLike[str], words: SymbolTable) -> None:
    """Refuse a model with words outside the lexicon, which could never be recognised.

    Raises:
        InputError: naming the first of them.
    """
    foreign = [w for w, p in arpa_unigrams(path) if w not in words and math.isfinite(p)]
    if foreign:
        raise InputError(
            f"{path}: {len(foreign)} words are not in the lexicon, the first {foreign[0]!r}",
            expected="a language model over the lexicon's words",
            remedy="add pronunciations or make the language model again",
        )
