"""Finds pronunciations in a dictionary, or makes them letter by letter."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from asr_hf.hmm.graph.dictionary import read_entries
from asr_hf.hmm.graph.g2p import Pronouncer
from asr_hf.hmm.graph.lexicon import UNKNOWN
from asr_hf.runtime.files import write_text

from .text import graphemes

log = logging.getLogger("asr_hf.recipes.table")

# A warning names so many words.
MAX_NAMED = 10
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


def guessed(
    words: Iterable[str], dictionary: dict[str, list[list[str]]], language: str, list_file: Path
) -> Entries:
    """Guess pronunciations of words that a dictionary lacks, from its own; see `Pronouncer`.

    Words with letters that are in no word of the dictionary, or with other signs, get none.

    Args:
        words: words of transcripts.
        dictionary: pronunciations by word.
        language: name of the language, for the warning.
        list_file: file that lists what is guessed; none is written where nothing is.

    Returns:
        The guesses.
    """
    missing = sorted(set(words) - dictionary.keys())
    if not missing:
        return []
    pronouncer = Pronouncer(
        [
            (letters, tuple(variant))
            for word, variants in dictionary.items()
            if (letters := graphemes(word))
            for variant in variants
        ]
    )
    found = ((word, pronouncer.pronounce(graphemes(word) or [])) for word in missing)
    guesses = [(word, list(phones)) for word, phones in found if phones]
    if guesses:
        write_text(list_file, "".join(f"{word} {' '.join(phones)}\n" for word, phones in guesses))
        log.warning(
            "%s: pronunciations of %d words that are not in the dictionary are guessed: %s "
            "(guessed.txt has all; put right ones into corpus.lexicon where they are wrong)",
            language,
            len(guesses),
            " ".join(word for word, _ in guesses[:MAX_NAMED]) + " ..." * (len(guesses) > MAX_NAMED),
        )
    return guesses


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
