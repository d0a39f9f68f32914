"""Pronunciations by spelling: a letter, a phone."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from ..table.lexicon import Entries, looked_up
from ..table.text import graphemes

# Letters too rare for phones of their own, and what sounds like them.
_ALIKE = {
    "cs": str.maketrans({"w": "v", "ó": "o", "ú": "ů", "q": "k"}),
    "nl": str.maketrans({"ï": "i", "ë": "e", "é": "e", "q": "k"}),
}


def letters(word: str) -> list[str] | None:
    """Spell a word; None where it is not read by its letters, or they are not Latin."""
    spelling = graphemes(word)
    if spelling is None or not all(unicodedata.name(c, "").startswith("LATIN") for c in spelling):
        return None
    return spelling


def lexicon(words: Iterable[str], language: str) -> Entries:
    """Spell words that are read by their letters, and `<unk>`.

    Phones carry their language: cs_a.

    Args:
        words: words in lower case.
        language: cs or nl.

    Returns:
        Words and phones, `<unk>` first.
    """
    spelled = {word: letters(word.translate(_ALIKE[language])) for word in set(words)}
    dictionary = {
        word: [[f"{language}_{letter}" for letter in known]]
        for word, known in spelled.items()
        if known
    }
    return looked_up(dictionary, dictionary)
