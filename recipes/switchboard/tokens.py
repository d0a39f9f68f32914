"""Turns the tokens of the Mississippi State transcripts into written words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

_SILENCE = "[silence]"
_ASIDE = re.compile(r"<[be]_aside>", re.IGNORECASE)


class Compat(StrEnum):
    """Rules where Kaldi's recipe has slips: `correct` ones, or those of `kaldi` with the slips."""

    CORRECT = "correct"
    KALDI = "kaldi"


def drop_marks(tokens: Iterable[str], dropped: Counter[str]) -> list[str]:
    """Leave out `[silence]`, `<b_aside>` and `<e_aside>`, in any case.

    Marks of asides are also left out where no blank separates them from a word. Noises and laughter
    stay.

    Args:
        tokens: tokens of one utterance.
        dropped: counter of the tokens left out.

    Returns:
        The other tokens.
    """
    remaining = []
    for token in tokens:
        for mark in _ASIDE.findall(token):
            dropped[mark.lower()] += 1
        rest = _ASIDE.sub("", token)
        if rest.lower() == _SILENCE:
            dropped[_SILENCE] += 1
        elif rest:
            remaining.append(rest)
    return remaining


def map_token(token: str, compat: Compat = Compat.CORRECT) -> str:
    """Map a token of transcripts or dictionary to the word that it stands for.

    The rules are applied in this order, each to the result of the one before:

        [laughter-yeah]      yeah       said while laughing
        [yeam/yeah]          yeam       what was said, not what was meant
        -[an]y               -y         the end of a word; its dash may be missing
        ab[solute]-          ab-        the beginning of a word; its dash may be missing
        ex[spec]-/espec]     ex         a bracketed tail that fits no rule
        {yuppiedom}          yuppiedom  a coinage
        ammu[n]it-           ammu-it-   a gap inside
        them_1               them       a numbered pronunciation

    Under `Compat.KALDI` the rule for gaps also removes the letters on both sides of the gap and
    keeps the last letter in it: ammn-t-. Kaldi systems have such words.

    Returns:
        The word.
    """
    for pattern, replacement in _RULES:
        token = pattern.sub(replacement, token, count=1)
    pattern, replacement = _GAPS[compat]
    token = pattern.sub(replacement, token, count=compat is Compat.KALDI)
    return _NUMBER.sub("", token, count=1)


_RULES = [
    (re.compile(pattern, flags), replacement)
    for pattern, replacement, flags in (
        (r"^(-?)\[laughter-(.+)\](-?)$", r"\1\2\3", re.IGNORECASE),
        (r"^\[(.+)/.+\](-?)$", r"\1\2", 0),
        (r"^-?\[[^][]+\](.+)$", r"-\1", 0),
        (r"^(.+)\[[^][]+\]-?$", r"\1-", 0),
        (r"([^][]+)\[.+\]$", r"\1", 0),
        (r"^\{(.+)\}$", r"\1", 0),
    )
]
_GAPS: dict[Compat, tuple[re.Pattern[str], str]] = {
    Compat.CORRECT: (re.compile(r"(?<=[a-z])\[[^][]+\](?=[a-z])", re.IGNORECASE), "-"),
    Compat.KALDI: (re.compile(r"[a-z]\[[^][]*([^][])\][a-z]", re.IGNORECASE), r"\1-"),
}
_NUMBER = re.compile(r"_\d")
