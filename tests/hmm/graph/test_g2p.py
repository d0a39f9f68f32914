"""Pronunciations guessed from a dictionary that follows rules."""

from __future__ import annotations

import itertools

import pytest

from asr_hf.hmm.graph.g2p import Pronouncer

# Castilian in small: letters and pairs of them that sound otherwise, and the silent h.
PAIRS = {"ch": "tS", "ll": "L", "qu": "k", "ce": "T e", "ci": "T i", "ge": "x e", "gi": "x i"}
LETTERS = {"h": "", "x": "k s", "c": "k", "j": "x", "v": "b", "z": "T"}


def said(word: str) -> tuple[str, ...]:
    phones, at = [], 0
    while at < len(word):
        piece = word[at : at + 2]
        if piece in PAIRS:
            phones += PAIRS[piece].split()
            at += 2
        else:
            phones += LETTERS.get(word[at], word[at]).split()
            at += 1
    return tuple(phones)


SYLLABLES = [
    *("ca", "ce", "ci", "co", "cha", "che", "llo", "lla", "que", "qui", "ge", "gi", "ga", "ja"),
    *("ho", "ha", "va", "vo", "xa", "zo", "la", "lo", "ma", "te", "ne", "so"),
]
WORDS = ["".join(pieces) for n in (1, 2) for pieces in itertools.product(SYLLABLES, repeat=n)]


@pytest.fixture(scope="module")
def pronouncer() -> Pronouncer:
    return Pronouncer([(list(word), said(word)) for word in WORDS])


def test_new_words_follow_the_rules_of_the_known_ones(pronouncer):
    new = ["".join(pieces) for pieces in itertools.product(SYLLABLES[::3], repeat=3)]
    right = [pronouncer.pronounce(list(word)) == said(word) for word in new]
    assert len(right) > 500 and sum(right) > 0.98 * len(right)


def test_letters_that_no_known_word_has_and_silence_have_no_pronunciation(pronouncer):
    assert pronouncer.pronounce(list("caw")) is None
    assert pronouncer.pronounce([]) is None
    assert Pronouncer([]).pronounce(["a"]) is None


def test_the_likelier_of_two_pronunciations_is_taken_and_abbreviations_teach_nothing():
    known = [(list(word), ("z",)) for word in ("s", "s", "s")] + [(["s"], ("s",))]
    known.append((["s"], ("E", "s", "E", "s")))
    assert Pronouncer(known).pronounce(["s"]) == ("z",)
