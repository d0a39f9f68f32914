"""Splits utterances deterministically, with near-duplicate sentences always in one set."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

# Words of a group that may still be held out: a large one would be most of a set.
_LARGEST_GROUP = 31


def trigrams(text: str) -> frozenset[str]:
    """List the character trigrams of a text, its ends marked."""
    padded = f"  {text} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))


def similar(a: Sequence[str], b: Sequence[str], threshold: float = 0.6) -> bool:
    """Return whether two sentences are near-duplicates.

    They are when trigram sets overlap by `threshold` (Jaccard), or when the shorter one has three
    words or more and stands whole inside the other.
    """
    text_a, text_b = " ".join(a), " ".join(b)
    short, long = sorted((a, b), key=len)
    if len(short) >= 3 and f" {' '.join(short)} " in f" {' '.join(long)} ":
        return True
    x, y = trigrams(text_a), trigrams(text_b)
    return len(x & y) >= threshold * len(x | y)


def group(sentences: dict[str, list[str]]) -> list[list[str]]:
    """Group utterances linked by `similar`; each group is sorted, in the order of first members."""
    parent = {name: name for name in sentences}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for a, b in combinations(sorted(sentences), 2):
        if root(a) != root(b) and similar(sentences[a], sentences[b]):
            parent[max(root(a), root(b))] = min(root(a), root(b))
    groups: dict[str, list[str]] = {}
    for name in sorted(sentences):
        groups.setdefault(root(name), []).append(name)
    return list(groups.values())


def split(sentences: dict[str, list[str]], test_words: int, dev_words: int) -> dict[str, list[str]]:
    """Split utterances into train, dev and test.

    Groups are taken in the order of a hash of their sentences, first for test, then for dev,
    until each holds its number of words. A group stays in training when it is large, when its
    sentences are single words, or when it holds a word that no other training sentence has: the
    vocabulary is closed, and the language model has to have seen a word.

    Args:
        sentences: words by utterance.
        test_words: minimum number of words of the test set.
        dev_words: minimum number of words of the dev set.

    Returns:
        Sorted utterances by set.
    """
    groups = sorted(group(sentences), key=lambda g: _hash([sentences[u] for u in g]))
    remaining = Counter(w for words in sentences.values() for w in set(words))
    held_out: dict[str, list[str]] = {"test": [], "dev": []}
    train = []
    min_words = {"test": test_words, "dev": dev_words}
    for members in groups:
        size = sum(len(sentences[u]) for u in members)
        inside = Counter(w for u in members for w in set(sentences[u]))
        covered = all(remaining[w] > count for w, count in inside.items())
        name = next((n for n in held_out if _words(sentences, held_out[n]) < min_words[n]), None)
        if (
            name is None
            or not covered
            or size > _LARGEST_GROUP
            or any(len(sentences[u]) < 2 for u in members)
        ):
            train += members
            continue
        held_out[name] += members
        remaining -= inside
    return {
        "train": sorted(train),
        "dev": sorted(held_out["dev"]),
        "test": sorted(held_out["test"]),
    }


def _words(sentences: dict[str, list[str]], utterances: list[str]) -> int:
    return sum(len(sentences[u]) for u in utterances)


def _hash(sentences: list[list[str]]) -> str:
    text = "\n".join(sorted(" ".join(words) for words in sentences))
    return hashlib.sha256(text.encode()).hexdigest()
