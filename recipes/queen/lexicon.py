"""Pronunciations: CMUdict, and the recipe's own list for what it lacks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..prompts.lexicon import cmu_pronunciations, read_pronunciations
from ..table.lexicon import Entries, looked_up

LANGUAGE = "en"


def lexicon(words: Iterable[str]) -> Entries:
    """Look up the pronunciations of those words that have one, and of `<unk>`.

    Phones carry their language: en_aa.

    Returns:
        Words and phones, an entry for each pronunciation.
    """
    listed = read_pronunciations(Path(__file__).with_name("pronunciations.txt"))
    pronunciations_of = {word: listed.get(word) or cmu_pronunciations(word) for word in set(words)}
    known = {
        word: [[f"{LANGUAGE}_{phone}" for phone in phones] for phones in pronunciations]
        for word, pronunciations in pronunciations_of.items()
        if pronunciations
    }
    return looked_up(known, known)
