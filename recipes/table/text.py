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
# What nobody says: soft hyphens, marks of direction, Armenian's of tone inside words, the Arabic
# stroke that fills lines. A zero-width space parts words.
_UNSEEN = regex.compile(
    r"[[\p{Default_Ignorable_Code_Point}--[\u200b\u200c\u200d]]\u055b\u055c\u055e\u0640]", regex.V1
)
_JOINER = regex.compile(r"[\u200c\u200d]")
_ARABIC = regex.compile(r"\p{Script_Extensions=Arabic}")
_VIRAMA = 9
# The default word boundaries of UAX #29.
_BOUNDARY = regex.compile(r"\b", regex.V1 | regex.WORD)
_WORDLIKE = regex.compile(r"[\p{L}\p{N}]")
# Full stops part letters (U.S.A. is spelled), low lines part everything.
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
        sounds: these words with `<unk>` where noise is marked.
        marks: marks of noises, silence or markup, as written.
        unread: numbers that are not read, as written, each with the reason.
    """

    words: list[str]
    sounds: list[str]
    marks: list[str]
    unread: list[str]


def read_transcript(transcript: str, language: str, numbers: str | None = None) -> Spoken:
    """Find the words of a transcript; see `words_of`.

    Args:
        transcript: transcript as written.
        language: language that case follows, in ISO 639 or BCP 47; any other name for none.
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

    Unicode's default word boundaries part them (UAX #29), with these changes: letters of one word
    are never parted, also in scripts without blanks; full stops and low lines part letters. So
    joiners, middle dots, colons, apostrophes and marks inside a word stay, hyphens part.

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
    """Keep joiners where they are spelling: after Arabic letters and after viramas (UAX #31)."""

    def kept(joiner: regex.Match[str]) -> str:
        before = text[joiner.start() - 1 : joiner.start()]
        spelling = before and (unicodedata.combining(before) == _VIRAMA or _ARABIC.match(before))
        return joiner[0] if spelling else ""

    joined: str = _JOINER.sub(kept, text)
    return joined


def lower(word: str, language: str) -> str:
    """Write a word in lower case, as its language has it, in composed form.

    In Turkish and Azeri I is ı and İ is i; elsewhere İ is i, without a second dot. The final
    sigma of Greek is Python's.

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

    Apostrophes are not heard, nor what joins letters inside a word.

    Returns:
        The graphemes; None when some part of the word is read otherwise.
    """
    spelled = [c for c in _UNHEARD.sub("", word) if c != "'"]
    if not spelled or any(unicodedata.category(c)[0] not in "LM" for c in spelled):
        return None
    return spelled
