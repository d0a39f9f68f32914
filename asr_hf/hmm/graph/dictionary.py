"""Reads pronouncing dictionaries as they come: CMUdict's, Kaldi's, X-SAMPA's, a user's own."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from asr_hf.data.fields import composed, other_space, read_lines, words_of
from asr_hf.runtime.errors import InputError

RESERVED = re.compile(r"<s>|</s>|<eps>|#\d+")
_EXPECTED = "word phone phone ..."
# Some dictionaries number the pronunciations of a word: read(2).
_VARIANT = re.compile(r"(?<=.)\(\d+\)$")
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+\.")
# HTK's dictionaries name what is put out: YES [yes] y e s.
_OUTPUT = re.compile(r"\[.*\]")


@dataclass(frozen=True)
class Entry:
    """One line of a dictionary.

    Args:
        place: file and line, for messages.
        word: the word as written, in composed form, without the number of its variant.
        phones: phones of the pronunciation.
    """

    place: str
    word: str
    phones: tuple[str, ...]


def read_entries(path: str | os.PathLike[str], remedy: str) -> list[Entry]:
    """Read lines `word phone phone ...`.

    A line that begins with `;` or `#` is a comment, and so is what stands behind a `#` that
    follows a blank, as in CMUdict. The number of a variant, `read(2)`, is taken off its word.
    Numbers may be phones, as X-SAMPA's 2, 6 and 9 are; where every line has a number from 0 to 1
    and a phone behind it, they are the probabilities of Kaldi's lexiconp.txt, which nothing here
    uses.

    Args:
        path: the dictionary.
        remedy: advice for the message when it cannot be read.

    Returns:
        The entries in the order of the file.

    Raises:
        InputError: it cannot be read, or a line has no phones, probabilities, a reserved symbol
            (`<s>`, `</s>`, `<eps>`, `#0`...), or white space other than blanks and tabs.
    """
    entries = []
    for number, line in enumerate(read_lines(path, "the lexicon", remedy), 1):
        place = f"{os.fspath(path)}:{number}"
        fields = _without_comment(composed(line))
        if not fields:
            continue
        if space := other_space(" ".join(fields)):
            raise InputError(
                f"{place}: {space}",
                expected=f"{_EXPECTED}, parted by blanks or tabs",
                remedy="put a blank there, or remove the character",
            )
        _check(place, fields)
        entries.append(Entry(place, _VARIANT.sub("", fields[0]), tuple(fields[1:])))
    _check_numbers(entries)
    return entries


def _without_comment(line: str) -> list[str]:
    """Split a line into fields up to its comment; `#1` is a symbol, wherever it stands."""
    fields = words_of(line)
    if fields and fields[0].startswith(";"):
        return []
    for at, field in enumerate(fields):
        if field[0] in "#;" and field.startswith(("#", ";;")) and not RESERVED.fullmatch(field):
            return fields[:at]
    return fields


def _check(place: str, fields: Sequence[str]) -> None:
    for symbol in fields:
        if symbol[0] in "<#" and RESERVED.fullmatch(symbol):
            raise InputError(
                f"{place}: {symbol!r} is reserved and cannot be a word or a phone",
                remedy="remove the line",
            )
    if len(fields) < 2:
        raise InputError(
            f"{place}: the word {fields[0]!r} has no phones",
            expected=_EXPECTED,
            remedy="give it a pronunciation or remove the line",
        )
    if fields[1].startswith(";") or _OUTPUT.fullmatch(fields[1]):
        raise InputError(
            f"{place}: {fields[1]!r} in the place of the first phone",
            expected=_EXPECTED,
            remedy="remove it; comments begin with # or stand on lines of their own",
        )


def _check_numbers(entries: Sequence[Entry]) -> None:
    """Refuse pronunciation probabilities, which would become the first phones of all words."""
    as_column = bool(entries) and all(
        len(e.phones) > 1 and _NUMBER.fullmatch(e.phones[0]) and float(e.phones[0]) <= 1
        for e in entries
    )
    for entry in entries:
        first = entry.phones[0]
        if _NUMBER.fullmatch(first) and (as_column or not first.isdigit()):
            raise InputError(
                f"{entry.place}: the probability {first} behind {entry.word!r}",
                expected=f"{_EXPECTED}, without probabilities",
                remedy="cut the column: perl -ape 's/(\\S+\\s+)\\S+\\s+/$1/' lexiconp.txt",
            )
