"""Pronunciations: from a dictionary, or letter by letter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from asr_hf.hmm.lexicon import UNKNOWN
from asr_hf.runtime.errors import InputError

from .text import graphemes

Entries = list[tuple[str, list[str]]]
# Variants are numbered in some dictionaries: read(2).
_VARIANT = re.compile(r"\(\d+\)$")
_COMMENTS = (";;;", "#")


def spelled(words: Iterable[str], language: str) -> Entries:
    """Every word by its letters: `xx_a` is what is written a in the language xx."""
    found = ((word, graphemes(word)) for word in sorted(set(words)))
    return _complete(
        (word, [f"{language}_{letter}" for letter in letters]) for word, letters in found if letters
    )


def looked_up(words: Iterable[str], dictionary: dict[str, list[list[str]]]) -> Entries:
    """The pronunciations of those words that a dictionary has."""
    known = (word for word in sorted(set(words)) if word in dictionary)
    return _complete((word, phones) for word in known for phones in dictionary[word])


def _complete(entries: Iterable[tuple[str, list[str]]]) -> Entries:
    return [(UNKNOWN, ["spn"]), *entries]


def read_dictionary(path: Path, tidy: Callable[[str], str]) -> dict[str, list[list[str]]]:
    """Read `word phone phone ...` lines, as CMUdict has them.

    Args:
        path: the dictionary.
        tidy: makes its words as the transcripts' are.

    Raises:
        InputError: it cannot be read, or a line has no phones.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: the dictionary cannot be read: {error}",
            expected="UTF-8 lines `word phone phone ...`",
            remedy="mend corpus.lexicon, or leave it out to spell words",
        ) from error
    found: dict[str, list[list[str]]] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields or line.startswith(_COMMENTS):
            continue
        word, phones = tidy(_VARIANT.sub("", fields[0])), fields[1:]
        if not phones or _is_number(phones[0]):
            raise InputError(
                f"{path}:{number}: {line.strip()[:60]!r}",
                expected="word phone phone ..., without probabilities",
                remedy="mend the line",
            )
        known = found.setdefault(word, [])
        if word and phones not in known:
            known.append(phones)
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.lower() not in ("nan", "inf", "infinity")
