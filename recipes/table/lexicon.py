"""Finds pronunciations in a dictionary, or makes them letter by letter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from asr_hf.hmm.graph.dictionary import read_entries
from asr_hf.hmm.graph.lexicon import UNKNOWN

from .text import graphemes

Entries = list[tuple[str, list[str]]]


def spelled(words: Iterable[str], language: str) -> Entries:
    """Spell every word: `xx_a` is the letter a in the language xx."""
    letters_of = ((word, graphemes(word)) for word in sorted(set(words)))
    return _complete(
        (word, [f"{language}_{letter}" for letter in letters])
        for word, letters in letters_of
        if letters
    )


def looked_up(words: Iterable[str], dictionary: dict[str, list[list[str]]]) -> Entries:
    """Look up the pronunciations of those words that a dictionary has."""
    known = (word for word in sorted(set(words)) if word in dictionary)
    return _complete((word, phones) for word in known for phones in dictionary[word])


def _complete(entries: Iterable[tuple[str, list[str]]]) -> Entries:
    return [(UNKNOWN, ["spn"]), *entries]


def read_dictionary(path: Path, tidy: Callable[[str], str]) -> dict[str, list[list[str]]]:
    """Read a dictionary; see `asr_hf.hmm.graph.dictionary.read_entries`.

    Args:
        path: the dictionary.
        tidy: function that writes a word of the dictionary as transcripts have it.

    Returns:
        The pronunciations by word.

    Raises:
        InputError: the dictionary cannot be read, or a line is malformed.
    """
    pronunciations: dict[str, list[list[str]]] = {}
    for entry in read_entries(path, "mend corpus.lexicon, or leave it out to spell words"):
        variants = pronunciations.setdefault(tidy(entry.word), [])
        if (phones := list(entry.phones)) not in variants:
            variants.append(phones)
    # Marks and punctuation have pronunciations in some dictionaries; transcripts lack them.
    pronunciations.pop("", None)
    return pronunciations
