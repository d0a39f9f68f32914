"""Writes spelled words in Fisher's convention: IBM is i._b._m."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from .tokens import Compat

Phones = tuple[str, ...]

_ENDINGS = ("'s", "s", "")
_VOICED_OR_NOT = ("s", "z")
_CAPITAL = re.compile(r"[A-Z]")


@cache
def letters() -> dict[str, Phones]:
    """Read the names of the 26 letters, in phones of the dictionary, which lacks some of them."""
    text = Path(__file__).with_name("letters.txt").read_text(encoding="utf-8")
    return {fields[0]: tuple(fields[1:]) for line in text.splitlines() if (fields := line.split())}


@dataclass(frozen=True)
class Acronyms:
    """Words that are spelled when spoken, and their written forms.

    Args:
        written: written form (i._b._m.) by word of transcripts and dictionary.
        compat: rules to follow; under `Compat.KALDI`, "I I" are also two letters.
    """

    written: Mapping[str, str]
    compat: Compat = Compat.CORRECT

    @classmethod
    def find(
        cls, entries: Iterable[tuple[str, Phones]], compat: Compat = Compat.CORRECT
    ) -> Acronyms:
        """Find the words that are pronounced as the names of their letters.

        Except under Kaldi's rules, a word in lower case that has other pronunciations as well is no
        acronym ("am" beside "AM").

        Returns:
            The acronyms.
        """
        forms: dict[str, list[str]] = {}
        for word, phones in entries:
            forms.setdefault(word, []).append(_spelled(word, phones))
        sure = compat is Compat.KALDI
        return cls(
            {
                word: max(spellings)
                for word, spellings in forms.items()
                if (any(spellings) if sure or not word.islower() else all(spellings))
            },
            compat,
        )

    def apply(self, words: Sequence[str]) -> list[str]:
        """Write spelled words in their written forms, and everything in lower case.

        A lone capital `I` is a word unless it is next to another single capital. In "I I" someone
        starts a sentence again.

        Returns:
            The written words.
        """
        result = []
        for single, group in groupby(words, lambda word: bool(_CAPITAL.fullmatch(word))):
            run = list(group)
            spelled = single and self._is_spelled(run)
            for word in run:
                known = word in self.written and (word != "I" or spelled)
                result.append(self.written[word] if known else word.lower())
        return result

    def _is_spelled(self, run: Sequence[str]) -> bool:
        """Return whether the `I`s in a run of single capitals are letters."""
        return len(run) > 1 and (self.compat is Compat.KALDI or set(run) != {"I"})


def _spelled(word: str, phones: Phones) -> str:
    """Return the written form of a word that is spelled by `phones`; empty where it is not."""
    for ending in _ENDINGS:
        if not word.endswith(ending):
            continue
        base, base_phones = word, phones
        if ending:
            if phones[-1] not in _VOICED_OR_NOT:
                continue
            base, base_phones = word.removesuffix(ending), phones[:-1]
        # In lower case "a" and "i" are words.
        if re.fullmatch(r"[A-Z]|[A-Za-z]{2,}", base) and base_phones == _names(base):
            return "._".join(base.lower()) + "." + ending
    return ""


def _names(word: str) -> Phones:
    return tuple(phone for letter in word.upper() for phone in letters()[letter])
