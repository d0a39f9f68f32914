"""Finds the spoken words from a prompt's transcript."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from num2words import num2words

_SYMBOLS = {
    "en": {"*": "star", "#": "pound"},
    "es": {"*": "asterisco", "#": "numero"},
    "fr": {"*": "étoile", "#": "dièse"},
    "it": {"*": "asterisco", "#": "cancelletto"},
    "ru": {"*": "звездочка", "#": "решетка"},
}
_ENCLOSED = re.compile(r"^\s*(\[[^\]]*\]|\([^)]*\)|<[^>]*>)\s*$")
_COMMENT = re.compile(r"\([^)]*\)|\[\W*\]")
_OPTIONAL = re.compile(r"\[[^\]]*\w[^\]]*\]")
_LONGEST_NUMBER = 12
_NUMBER = re.compile(r"\d+")
_APOSTROPHES = str.maketrans({"’": "'", "`": "'", "´": "'"})
_LATIN = re.compile(r"[a-z]")
_CYRILLIC = re.compile(r"[а-я]")
_GLUED = re.compile(r"(?<![\w/-])([a-z]+(?:[-/][a-z0-9]+)+):(?=\s)")
# Italian: an è lost in the published list's encoding.
_LOST = re.compile(r"(?<=\w )\?(?= \w)")
_LOOK_ALIKE = str.maketrans("aceopxykmtbh", "асеорхукмтвн")


@dataclass(frozen=True)
class Dropped:
    """A prompt that is left out, and the reason."""

    reason: str


def parse_transcripts(text: str) -> dict[str, str]:
    """Read `name: transcript` lines; comments, blank lines and a BOM are skipped.

    Entries that were glued to the end of another's line are taken apart. A name that occurs twice
    keeps its first transcript that is not empty.

    Returns:
        The transcripts by name.
    """
    transcripts: dict[str, str] = {}
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith(";"):
            continue
        for entry in _GLUED.sub(r"\n\1: ", f"{line} ").split("\n"):
            name, colon, transcript = (part.strip() for part in entry.partition(":"))
            if colon and name and not transcripts.get(name):
                transcripts[name] = transcript
    return transcripts


def normalise(
    name: str, transcript: str, language: str, corrections: dict[str, str]
) -> list[str] | Dropped:
    """Find the words spoken in a prompt.

    Args:
        name: name of the prompt, without extension.
        transcript: transcript as published.
        language: en, es, fr, it or ru.
        corrections: corrections of the language by word (or `=name` for whole prompts); an empty
            correction drops the prompt.

    Returns:
        The words, or why the prompt is left out.
    """
    if f"={name}" in corrections:
        transcript = corrections[f"={name}"]
        if not transcript:
            return Dropped("transcript known not to be what is spoken")
    if name.startswith("silence/") or _ENCLOSED.match(transcript):
        return Dropped("no speech")
    spoken = _COMMENT.sub(" ", transcript.translate(_APOSTROPHES))
    if _OPTIONAL.search(spoken):
        return Dropped("words in brackets that may or may not be spoken")
    if language == "it":
        spoken = _LOST.sub("è", spoken)
    for symbol, word in _SYMBOLS[language].items():
        spoken = spoken.replace(symbol, f" {word} ")
    spoken = re.sub(r"(\d)(D\b)", r"\1 \2", spoken)
    spoken = _NUMBER.sub(lambda m: f" {_spell(m.group(), language)} ", spoken)
    words = [corrections.get(word, word) for word in _words(spoken, language)]
    words = [word for entry in words for word in entry.split()]
    if not words:
        return Dropped("no words")
    if language == "ru" and any(_LATIN.search(word) for word in words):
        return Dropped("words in another script")
    return words


def _spell(digits: str, language: str) -> str:
    """Write a number in words; digit by digit when it starts with a zero or is a very long one."""
    if len(digits) > 1 and (digits.startswith("0") or len(digits) > _LONGEST_NUMBER):
        return " ".join(_spell(d, language) for d in digits)
    return str(num2words(int(digits), lang=language))


def _words(text: str, language: str) -> list[str]:
    """Split text into lower-case words: letters and inner apostrophes."""
    text = unicodedata.normalize("NFC", text.lower())
    if language == "es":
        text = strip_accents(text, keep="ñ")
    if language == "ru":
        text = " ".join(map(_one_script, text.replace("ё", "е").split()))
    # Elision: l'appel is two words to a grapheme lexicon, don't is one to CMUdict.
    text = re.sub(r"'", "' ", text) if language in ("fr", "it") else text
    cleaned = "".join(c if c.isalpha() or c == "'" else " " for c in text)
    stripped = (
        w.lstrip("'") if language in ("fr", "it") else w.strip("'") for w in cleaned.split()
    )
    return [w for w in stripped if any(c.isalpha() for c in w)]


def _one_script(word: str) -> str:
    """Write look-alike Latin letters of a Cyrillic word in Cyrillic too."""
    return word.translate(_LOOK_ALIKE) if _CYRILLIC.search(word) else word


def strip_accents(text: str, keep: str = "") -> str:
    """Drop combining marks, except on the letters of `keep`."""
    return "".join(
        c
        if c in keep
        else "".join(d for d in unicodedata.normalize("NFD", c) if not unicodedata.combining(d))
        for c in text
    )
