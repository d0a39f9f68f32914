"""Makes a lexicon from the pronunciation dictionary of the Mississippi State transcripts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from asr_hf.data.fields import words_of
from asr_hf.hmm.graph.lexicon import SILENCE, SILENCE_PHONES, SPOKEN_NOISE, UNKNOWN
from asr_hf.runtime.errors import InputError

from .acronyms import Acronyms, Phones, letters
from .text_files import numbered_lines
from .tokens import Compat, map_token

DICTIONARY = "sw-ms98-dict.text"
LANGUAGE = "en"
Entry = tuple[str, Phones]

_NOISES: list[Entry] = [
    ("!sil", (SILENCE,)),
    ("[vocalized-noise]", (SPOKEN_NOISE,)),
    ("[noise]", ("nsn",)),
    ("[laughter]", ("lau",)),
    (UNKNOWN, (SPOKEN_NOISE,)),
]


def read_dictionary(path: Path, patch: Path | None) -> list[Entry]:
    """Read the dictionary, `word phone phone ...`, and apply corrections.

    Args:
        path: sw-ms98-dict.text.
        patch: lines `+ word phone ...` to add, `- word phone ...` to remove one pronunciation and
            `- word` to remove all; None for none.

    Returns:
        The words and their phones.

    Raises:
        InputError: a line is malformed, or a pronunciation to be removed is not there.
    """
    entries = dict.fromkeys(
        _entry(place, words_of(line)) for place, line in numbered_lines(path, comment="#")
    )
    for place, line in numbered_lines(patch, comment="#") if patch else ():
        sign, *fields = words_of(line)
        if sign not in ("+", "-") or not fields:
            raise InputError(f"{place}: {line[:80]!r}", expected="+ word phone ... or - word")
        if sign == "+":
            entries[_entry(place, fields)] = None
            continue
        word, phones = fields[0], tuple(fields[1:])
        gone = [e for e in entries if e[0] == word and phones in ((), e[1])]
        if not gone:
            raise InputError(
                f"{place}: {' '.join(fields)!r} is not in {path}",
                remedy="correct the line, or remove it from corpus.lexicon_patch",
            )
        for entry in gone:
            del entries[entry]
    return list(entries)


def _entry(place: str, fields: list[str]) -> Entry:
    if len(fields) < 2:
        raise InputError(f"{place}: {fields[0]!r} has no phones", expected="word phone phone ...")
    return fields[0], tuple(fields[1:])


def make_lexicon(dictionary: Iterable[Entry], compat: Compat) -> tuple[list[Entry], Acronyms]:
    """Turn the dictionary into a lexicon of the words that transcripts are written in.

    Letters are added, tokens mapped as in the transcripts, and spelled words written in their own
    form; silence, noises and `<unk>` come last. Phones carry their language (en_aa) except those
    of silence and noises.

    Returns:
        Words and phones, sorted as in the C locale, each pronunciation once; and the spelled words.
    """
    pronounced = [*dictionary, *letters().items()]
    mapped = [
        (map_token(word, compat), tuple(p.lower() for p in phones)) for word, phones in pronounced
    ]
    acronyms = Acronyms.find(mapped, compat)
    # In transcripts a lone I is the word `i`, with any pronunciation.
    entries = {("i", phones) for word, phones in mapped if word == "I"}
    entries |= {
        (acronyms.written.get(word, word.lower()), phones)
        for word, phones in mapped
        if word != "I" or phones == letters()["I"]
    }
    entries |= set(_NOISES)
    named_phones = {(word, tuple(map(_phone, phones))) for word, phones in entries}
    return sorted(named_phones, key=lambda e: (e[0].encode(), e[1])), acronyms


def _phone(name: str) -> str:
    return name if name in SILENCE_PHONES else f"{LANGUAGE}_{name}"


def spoken_vocabulary(entries: Iterable[Entry]) -> set[str]:
    """List the words that a recogniser may output: all but those pronounced as silence only."""
    return {word for word, phones in entries if set(phones) != {SILENCE}}
