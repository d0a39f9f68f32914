"""Derives phones from spelling, by ordered rules for languages with regular spelling.

A monophone model learns a phone from a few dozen examples: spellings of one sound share a phone,
and rare sounds are written with their neighbours (ñ as n i, x as k s).
"""

from __future__ import annotations

import re
from functools import cache

_DOUBLE = (r"([bdfglmnpqrstvz])\1", r"\1")
# A vowel letter before n or m is nasal unless a vowel or another nasal follows.
_NASAL = "(?![aeiouyàâéèêëîïôöùûhnm])"
# The first rule that matches at a position is applied; a letter without one is its own phone.
_RULES: dict[str, tuple[tuple[str, str], ...]] = {
    "es": (
        ("ch", "ch"), ("ll|y(?=[aeiou])", "ll"), ("rr|^r", "rr"), ("y", "i"),
        ("qu|k|q", "k"), ("gu(?=[ei])", "g"), ("g(?=[ei])", "j"),
        ("s?c(?=[ei])|z", "s"), ("c", "k"), ("v", "b"), ("h", ""), ("ñ", "n i"), ("x", "k s"),
        ("w", "u"),
    ),
    "fr": (
        ("'", ""),
        # What is silent at the end of a word.
        (r"ez$|(?<=\w\w)ers?$", "é"), ("ets?$", "è"), (r"(?<=\w\w)es?$", ""),
        (r"(?<=\w)[dpstxz]s?$", ""),
        ("a(?=ill|il$)", "a"), ("e(?=ill|il$)", "è"), ("eau|au|ô", "o"),
        ("tion", "s i on"), ("ueill?", "eu i"),
        (r"(?<=[aeu])ill|(?<=[aeu])il$|ill(?=[aeéèio])", "i"),
        (f"oin{_NASAL}", "ou in"), (f"ien{_NASAL}", "i in"),
        (f"(?:ai|ei|i|y)[nm]{_NASAL}", "in"), (f"u[nm]{_NASAL}", "un"),
        (f"[ae][nm]{_NASAL}", "an"), (f"o[nm]{_NASAL}", "on"),
        ("o[uù]|w", "ou"), ("oi|oî", "ou a"), ("œu|eu|œ", "eu"), ("ai|ei|aî", "è"),
        ("ch", "ch"), ("ph", "f"), ("gn", "n i"), ("qu|q", "k"),
        ("gu(?=[eiéèê])", "g"), ("ge(?=[ao])|g(?=[eiéèêy])", "j"),
        ("ss|sc(?=[eiéè])|c(?=[eiéèêy])|ç", "s"), ("cc(?=[eiéè])|x", "k s"), ("cc|ck|c", "k"),
        ("(?<=[aeiouyéè])s(?=[aeiouyéè])", "z"), ("h", ""), ("[yîï]", "i"),
        (r"e(?=([bcdfglmnprstz])\1|[clrsx][bcdfgjklmnpqrstv]|[cflr]$)|[êë]", "è"),
        ("[àâ]", "a"), ("[ùû]", "u"), _DOUBLE,
    ),
    "it": (
        ("'|h", ""), ("gli(?=[aeou])|gli", "l i"), ("gn", "n i"),
        ("sci(?=[aou])|sc(?=[eièéì])", "sci"), ("c?ci(?=[aou])|c?c(?=[eièéì])", "ci"),
        ("g?gi(?=[aou])|g?g(?=[eièéì])", "gi"), ("c?ch|cqu?(?=u)|cc|c|k|q", "k"), ("gh", "g"),
        ("x", "k s"), ("w", "u"), ("[jyì]", "i"), ("à", "a"), ("ò", "o"), ("ù", "u"),
        ("[éè]", "e"), _DOUBLE,
    ),
    "ru": (
        ("ъ", ""), ("ться$|тся$", "ц а"), ("(?<=[ое])г(?=о$)", "в"), ("^ч(?=то)", "ш"),
    ),
}  # fmt: skip


@cache
def _compiled(language: str) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(pattern), phones) for pattern, phones in _RULES[language]]


def spell(language: str, word: str) -> list[str]:
    """Derive the phones of a lower-case word of es, fr, it or ru from its spelling."""
    phones: list[str] = []
    at = 0
    while at < len(word):
        for pattern, replacement in _compiled(language):
            if match := pattern.match(word, at):
                phones += match.expand(replacement).split()
                at = match.end()
                break
        else:
            phones.append(word[at])
            at += 1
    return phones
