"""Finds marks in transcripts that are no words: noises, silence and markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum


class Kind(Enum):
    """Kinds of pieces of a transcript."""

    TEXT = "text"
    NOISE = "noise"
    # Silence, or tags around words.
    NOTHING = "nothing"


# [noise], <noise>, {SMACK}, ++GARBAGE++; and names of noises in (parentheses) or *stars*, which
# may also hold words.
_MARK = re.compile(
    r"\[[^\[\]]*\]|<[^<>]*>|\{[^{}]*\}|\+\+[^\s+]+\+\+|(?P<maybe>\([^()]*\)|\*[^*\s][^*]*\*)"
)
_NAME = re.compile(r"[^\W\d_]+")
_SILENCE = {"sil", "sp", "silence", "pause", "silencio", "pausa", "stille", "s", "eps"}
# A list for each language; marks in [], <>, {} or ++ ++ need no entry.
_NAMES = """
noise noises noisy background static garbage smack smacks lipsmack lip lips click clicks music
laugh laughs laughing laughter chuckle chuckles chuckling giggle giggles giggling
cough coughs coughing sneeze sneezes sniff sniffs sniffle breath breaths breathes breathing
inhale inhales exhale exhales sigh sighs sighing gasp gasps clears clearing throat yawn yawns
applause clapping beep beeps ringing rustling hesitation inaudible unintelligible
indiscernible crosstalk overlap unk spn nsn lau xxx
ruido ruidos risa risas tos respiración música aplausos
bruit bruits rire rires toux respiration musique
lachen gelächter geräusch geräusche husten räuspern rauschen musik unverständlich atmen
rumore risate tosse respiro risos ruído шум смех кашель вздох музыка неразборчиво
"""
_NOISES = _SILENCE.union(_NAMES.split())


def split_marks(transcript: str) -> Iterator[tuple[Kind, str]]:
    """Split a transcript into its pieces in their order, marks as written."""
    at = 0
    for mark in _MARK.finditer(transcript):
        names = [name.lower() for name in _NAME.findall(mark[0])]
        if mark["maybe"] and not _NOISES.issuperset(names):
            continue
        yield Kind.TEXT, transcript[at : mark.start()]
        yield _kind(mark[0], names, transcript), mark[0]
        at = mark.end()
    yield Kind.TEXT, transcript[at:]


def _kind(mark: str, names: list[str], transcript: str) -> Kind:
    tag = mark.startswith("</") or (names and f"</{names[0]}>" in transcript.lower())
    if (mark.startswith("<") and tag) or (names and _SILENCE.issuperset(names)):
        return Kind.NOTHING
    return Kind.NOISE
