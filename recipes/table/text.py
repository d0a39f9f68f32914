"""Turns transcripts as people write them into words."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import regex

from asr_hf.data.fields import composed
from asr_hf.hmm.graph.lexicon import UNKNOWN

from .marks import Kind, split_marks
from .numbers import read_numbers

_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ`´＇", "'"))
# Signs that are not spoken: soft hyphens, marks of direction, Armenian marks of tone inside words,
# the Arabic stroke that fills lines. A zero-width space separates words.
_UNSEEN = regex.compile(
    r"[[\p{Default_Ignorable_Code_Point}--[\u200b\u200c\u200d]]\u055b\u055c\u055e\u0640]", regex.V1
)
_JOINER = regex.compile(r"[\u200c\u200d]")
_ARABIC = regex.compile(r"\p{Script_Extensions=Arabic}")
_VIRAMA = 9
# The default word boundaries of UAX #29.
_BOUNDARY = regex.compile(r"\b", regex.V1 | regex.WORD)
_WORDLIKE = regex.compile(r"[\p{L}\p{N}]")
# Full stops separate letters (U.S.A. is spelled); low lines separate everything.
_INNER = regex.compile(r"(?<!\p{N})[.․﹒．]|[.․﹒．](?!\p{N})|\p{Pc}")
_UNHEARD = regex.compile(r"(?<=.)[\p{WB=MidLetter}\"\u200c\u200d](?=.)")
_EDGE = regex.compile(r"^[^\p{L}\p{N}]+|[^\p{L}\p{M}\p{N}]+$")
# ISO 639 codes of the languages whose i keeps its dot in capitals.
_DOTTED = {"tr", "tur", "az", "aze", "azj"}
# Marks between an i and a dot above it, which is the i's own.
_SECOND_DOT = regex.compile(r"([ijįịɨ]\p{M}*?)\u0307")


@dataclass(frozen=True)
class Spoken:
    """The words of a transcript.

    Args:
        words: words without marks.
        sounds: words, with `<unk>` where noise is marked.
        marks: marks of noises, silence or markup, as written.
        unread: numbers that are not written in words, as in the transcript.
    """

    words: list[str]
    sounds: list[str]
    marks: list[str]
    unread: list[str]


def read_transcript(transcript: str, language: str, numbers: str | None = None) -> Spoken:
    """Find the words of a transcript; see `words_of`.

    Args:
        transcript: transcript as written.
        language: language whose rules of case apply, as a code of ISO 639 or BCP 47; any other name
            applies none.
        numbers: language of num2words that numbers are read in; None leaves them as they are.

    Returns:
        The words, with what was left out of them.
    """
    words, sounds = list[str](), list[str]()
    marks, unread = list[str](), list[str]()
    for kind, piece in split_marks(composed(transcript)):
        if kind is not Kind.TEXT:
            marks.append(piece)
            sounds += [UNKNOWN] * (kind is Kind.NOISE)
            continue
        if numbers is not None:
            piece, hard = read_numbers(piece, numbers)
            unread += hard
        piece_words = words_of(piece, language)
        words += piece_words
        sounds += piece_words
    return Spoken(words, sounds, marks, unread)


def words_of(text: str, language: str) -> list[str]:
    """Split a text into words, in lower case and composed form (NFC).

    Words end at Unicode's default word boundaries (UAX #29), with two changes: adjacent letters
    always belong to one word, also in scripts without blanks; and full stops and low lines separate
    letters. So joiners, middle dots, colons, apostrophes and marks inside a word stay, and hyphens
    separate words.

    Returns:
        The words.
    """
    text = _joined(_UNSEEN.sub("", composed(text)).translate(_APOSTROPHES))
    runs, inside = [""], False
    for piece in _BOUNDARY.split(text):
        wordlike = _WORDLIKE.search(piece) is not None
        if wordlike and inside:
            runs[-1] += piece
        elif wordlike:
            runs.append(piece)
        inside = wordlike
    parts = (_EDGE.sub("", part) for run in runs for part in _INNER.split(run))
    return [lower(part, language) for part in parts if part]


def _joined(text: str) -> str:
    """Drop joiners but after Arabic letters and viramas, where they are spelling (UAX #31)."""

    def kept(joiner: regex.Match[str]) -> str:
        before = text[joiner.start() - 1 : joiner.start()]
        spelling = before and (unicodedata.combining(before) == _VIRAMA or _ARABIC.match(before))
        return joiner[0] if spelling else ""

    joined: str = _JOINER.sub(kept, text)
    return joined


def lower(word: str, language: str) -> str:
    """Write a word in lower case by the rules of its language, in composed form.

    In Turkish and Azeri, I becomes ı and İ becomes i; elsewhere, İ becomes i without a second dot.
    Greek sigma at the end of a word is as Python writes it.

    Returns:
        The word.
    """
    word = composed(word)
    if language.lower().replace("_", "-").partition("-")[0] in _DOTTED:
        word = word.replace("İ", "i").replace("I", "ı")
    word = word.lower()
    return composed(_SECOND_DOT.sub(r"\1", word) if "\u0307" in word else word)


def graphemes(word: str) -> list[str] | None:
    """List the letters and combining marks of a word.

    Apostrophes and signs that join letters inside a word are not spoken, and left out.

    Returns:
        The graphemes; None where the word has signs of another kind.
    """
    spelled = [c for c in _UNHEARD.sub("", word) if c != "'"]
    if not spelled or any(unicodedata.category(c)[0] not in "LM" for c in spelled):
        return None
    return spelled
