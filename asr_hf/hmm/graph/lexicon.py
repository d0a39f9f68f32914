"""Pronunciation lexicons, the joint phone table, and disambiguation symbols."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from asr_hf.data.fields import read_lines, words_of
from asr_hf.hmm.graph.dictionary import read_entries
from asr_hf.runtime.errors import InputError

SILENCE = "sil"
SPOKEN_NOISE = "spn"
# Phones that are no speech and that languages share: silence, spoken noise, noise, laughter.
SILENCE_PHONES = (SILENCE, SPOKEN_NOISE, "nsn", "lau")
UNKNOWN = "<unk>"

Pronunciation = tuple[str, ...]


@dataclass(frozen=True)
class Lexicon:
    """The words of one language and their pronunciations, in the order of the file."""

    language: str
    pronunciations: Mapping[str, tuple[Pronunciation, ...]]

    def __contains__(self, word: object) -> bool:
        return word in self.pronunciations

    @property
    def phones(self) -> set[str]:
        """Every phone that some word uses."""
        return {
            phone
            for variants in self.pronunciations.values()
            for variant in variants
            for phone in variant
        }

    def with_unknown(self) -> Lexicon:
        """Add `<unk>`, pronounced as spoken noise, unless it is there already."""
        if UNKNOWN in self:
            return self
        return Lexicon(self.language, {**self.pronunciations, UNKNOWN: ((SPOKEN_NOISE,),)})

    def text(self) -> str:
        """Write the lexicon as a file: `word phone phone ...`, one pronunciation a line."""
        return "".join(
            f"{word} {' '.join(variant)}\n"
            for word, variants in self.pronunciations.items()
            for variant in variants
        )


def read_lexicon(path: str | os.PathLike[str], language: str) -> Lexicon:
    """Read a lexicon of lines `word phone phone ...`; a word may have several lines.

    Kaldi's names of silence, noises and the unknown word (SIL, SPN, `<UNK>`) are taken for the
    project's (sil, spn, `<unk>`).

    Returns:
        The lexicon.

    Raises:
        InputError: the file is missing or empty, or has a malformed line; see `read_entries`.
    """
    entries = read_entries(path, "run asr-hf prepare")
    words = {entry.word for entry in entries}
    phones = {phone for entry in entries for phone in entry.phones}
    names = {phone: _shared(phone) for phone in phones}
    pronunciations: dict[str, dict[Pronunciation, None]] = {}
    for entry in entries:
        word = UNKNOWN if _is_unknown(entry.word) and UNKNOWN not in words else entry.word
        pronunciations.setdefault(word, {})[tuple(names[phone] for phone in entry.phones)] = None
    if not pronunciations:
        raise InputError(f"{path}: the lexicon is empty", remedy="run asr-hf prepare")
    return Lexicon(language, {word: tuple(variants) for word, variants in pronunciations.items()})


def _is_unknown(word: str) -> bool:
    return word.lower() == UNKNOWN


def _shared(phone: str) -> str:
    """Give a phone the project's name; Kaldi's recipes write silence and noises in capitals."""
    return phone.lower() if phone.lower() in SILENCE_PHONES else phone


def map_unknown(words: Sequence[str], lexicon: Lexicon) -> tuple[list[str], list[str]]:
    """Replace words outside the lexicon by `<unk>`.

    Returns:
        The words to align, and the words that were replaced.
    """
    unknown = [word for word in words if word not in lexicon]
    return [word if word in lexicon else UNKNOWN for word in words], unknown


@dataclass(frozen=True)
class SymbolTable:
    """Symbols and their ids; `<eps>` is 0."""

    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ids", {s: i for i, s in enumerate(self.symbols)})

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._ids  # type: ignore[attr-defined]

    def id(self, symbol: str) -> int:
        """Look up the id of `symbol`."""
        return self._ids[symbol]  # type: ignore[attr-defined, no-any-return]

    def ids(self, symbols: Iterable[str]) -> list[int]:
        """Look up the ids of several symbols."""
        return [self.id(symbol) for symbol in symbols]

    def text(self) -> str:
        """Write the table in OpenFst's text form, `symbol id`."""
        return "".join(f"{symbol} {number}\n" for number, symbol in enumerate(self.symbols))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> SymbolTable:
        """Read a table written by `text`.

        Returns:
            The table.

        Raises:
            InputError: the file is missing, or its ids are not 0, 1, 2, ...
        """
        rows = [words_of(line) for line in read_lines(path, "the symbols", "run asr-hf align")]
        if any(len(row) != 2 or row[1] != str(i) for i, row in enumerate(rows)):
            raise InputError(
                f"{path}: not a symbol table",
                expected="lines `symbol id` with ids 0, 1, 2, ...",
                remedy="remove the folder and run asr-hf align again",
            )
        return cls(tuple(row[0] for row in rows))


def phone_table(lexicons: Iterable[Lexicon]) -> SymbolTable:
    """Make the joint table of all languages' phones: silence, noises that are used, then the rest.

    A noise gets a model only when some word needs it: a model without data would be an output of
    the network that training never sees.

    Returns:
        The table.
    """
    used = {SILENCE}.union(*(lexicon.phones for lexicon in lexicons))
    shared = [phone for phone in SILENCE_PHONES if phone in used]
    return SymbolTable(("<eps>", *shared, *sorted(used - {*SILENCE_PHONES})))


def word_table(lexicon: Lexicon) -> SymbolTable:
    """Make the table of one language's words, with the symbols a grammar needs at the end."""
    return SymbolTable(("<eps>", *sorted(lexicon.pronunciations), "#0", "<s>", "</s>"))


def disambiguation(lexicon: Lexicon) -> tuple[list[tuple[str, Pronunciation, int]], int]:
    """Number the pronunciations that would make the lexicon transducer ambiguous.

    A pronunciation is followed by `#n`, n >= 1, when another word has the same one or when it is
    the beginning of a longer one (Mohri et al. 2002, section 3.2.1).

    Returns:
        (word, phones, n) for every pronunciation, n = 0 where no symbol is needed; and the
        largest n.
    """
    entries = [(w, v) for w, variants in lexicon.pronunciations.items() for v in variants]
    counts = Counter(phones for _, phones in entries)
    beginnings = {phones[:n] for _, phones in entries for n in range(1, len(phones))}
    used: Counter[Pronunciation] = Counter()
    numbered = []
    for word, phones in entries:
        if counts[phones] > 1 or phones in beginnings:
            used[phones] += 1
        numbered.append((word, phones, used[phones]))
    return numbered, max(used.values(), default=0)
