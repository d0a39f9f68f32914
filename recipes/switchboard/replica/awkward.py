"""Writes transcripts of the replica with every kind of awkward token that Switchboard's have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..acronyms import letters
from .dialogue import Prompt

# Spelled words; those whose letters are among the prompts are spoken.
_SPELLED = ("TV", "PC", "IBM", "BBC", "USA", "CD", "VCR", "FBI", "PBX", "DTMF")
# Probability that a turn gets an awkward token.
_CHANCE = 0.3
Pronunciations = Mapping[str, Sequence[Sequence[str]]]


def _halves(word: str) -> tuple[str, str]:
    return word[: len(word) // 2], word[len(word) // 2 :]


def _gap(word: str) -> str:
    third = len(word) // 3
    return f"{word[:third]}[{word[third : 2 * third]}]{word[2 * third :]}"


# Ways to write a word that is spoken in full, also where a rule removes some of its letters.
_WAYS: tuple[Callable[[str], str], ...] = (
    lambda w: f"[laughter-{w}]",
    lambda w: f"[LAUGHTER-{w}]",
    lambda w: f"[{w}/{w}s]",
    lambda w: f"{w}_1",
    lambda w: f"{{{w}}}",
    lambda w: f"{_halves(w)[0]}[{_halves(w)[1]}]-",
    lambda w: f"-[{_halves(w)[0]}]{_halves(w)[1]}",
    lambda w: f"{_halves(w)[0]}[{_halves(w)[1]}]-/{w}]",
    _gap,
)
_SHORTEST = 6


def spelled_prompts(prompts: Iterable[Prompt]) -> Iterator[Prompt]:
    """Turn prompts that are letters into spelled words: as one word, and letter by letter.

    Yields:
        The prompts.
    """
    letters = {p.words[0].upper(): p for p in prompts if len(p.words) == 1 == len(p.words[0])}
    for word in _SPELLED:
        if set(word) <= letters.keys():
            samples = np.concatenate([letters[letter].samples for letter in word])
            yield Prompt(samples, (word,))
            yield Prompt(samples, tuple(word))


@dataclass
class Transcriber:
    """Writes down words in the manner of the transcripts, and keeps their dictionary.

    Args:
        pronunciations: pronunciations by word.
        random: generator that decides where the awkward tokens are.
        dictionary: pronunciations by token.
    """

    pronunciations: Pronunciations
    random: np.random.Generator
    dictionary: dict[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    _written: int = 0

    def tokens(self, words: Sequence[str]) -> list[str]:
        """Write the tokens of a turn; over many turns, every kind of awkward token occurs."""
        plain = [self._plain(word) for word in words]
        if self.random.random() >= _CHANCE:
            return plain
        self._written += 1
        known = [i for i, word in enumerate(words) if word in self.pronunciations]
        longest = max(known, key=lambda i: len(words[i]), default=0)
        if self._written % 4 == 0 or not known or len(words[longest]) < _SHORTEST:
            return ["<b_aside>", *plain, "<E_ASIDE>", "[silence]"]
        make_awkward = _WAYS[self._written % len(_WAYS)]
        token = make_awkward(words[longest])
        self.dictionary[token] = self.pronunciations[words[longest]]
        return [*plain[:longest], token, *plain[longest + 1 :]]

    def _plain(self, word: str) -> str:
        """Write a word as transcribers do; letters and `I` are capitals, "a" is the article."""
        if word.startswith("["):
            return word
        token = word.upper() if len(word) == 1 and word != "a" else word
        if word.isupper() and word not in self.pronunciations:
            self.dictionary[token] = [[phone for letter in word for phone in letters()[letter]]]
        else:
            self.dictionary[token] = self.pronunciations[word.lower()]
        return token
