"""From transcripts as people write them to words."""

from __future__ import annotations

import re
import unicodedata

from num2words import num2words

_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'", "`": "'", "´": "'"})
# Marks of sounds and of what transcribers could not hear: [noise], <unk>.
_NUMBER = re.compile(r"(?<!\w)[0-9]{1,12}(?!\w)")
_MARK = re.compile(r"\[[^\]\s]*\]|<[^>\s]*>")


def words_of(transcript: str, numbers: str | None = None) -> tuple[list[str], list[str]]:
    """The words of a transcript, and the marks that are no words.

    Lower case, in composed form (NFC); letters, combining marks, digits and inner apostrophes
    make words, everything else parts them.

    Args:
        transcript: as written.
        numbers: the language that whole numbers are read in; None leaves them as they are.
    """
    marks = _MARK.findall(transcript)
    spoken = _MARK.sub(" ", transcript).translate(_APOSTROPHES)
    if numbers is not None:
        spoken = _NUMBER.sub(lambda found: f" {num2words(int(found[0]), lang=numbers)} ", spoken)
    text = unicodedata.normalize("NFC", spoken)
    kept = "".join(c if _belongs(c) else " " for c in text.lower())
    stripped = (word.strip("'") for word in kept.split())
    return [word for word in stripped if word], marks


def _belongs(character: str) -> bool:
    return character == "'" or unicodedata.category(character)[0] in "LMN"


def graphemes(word: str) -> list[str] | None:
    """The letters and combining marks of a word; None when something in it is read otherwise."""
    spelled = [c for c in word if c != "'"]
    if not spelled or any(unicodedata.category(c)[0] not in "LM" for c in spelled):
        return None
    return spelled
