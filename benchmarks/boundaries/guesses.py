"""Guesses pronunciations that festival's CMU dictionary has, without these, and counts errors.

python -m benchmarks.boundaries.guesses [--folder DIR] [--results FILE]

Needs what python -m benchmarks.boundaries fetched, and adds to its results.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import time
from pathlib import Path
from typing import Any

from asr_hf.hmm.graph.g2p import Pronouncer
from asr_hf.runtime.files import read_json, write_json
from asr_hf.scoring.alignment import count_errors, word_alignment
from benchmarks.boundaries.__main__ import RESULTS

_ENTRY = re.compile(r'^\("([a-z]+)" \S+ (\(.*\))\)\s*$', re.MULTILINE)
_SYLLABLE = re.compile(r"\(\(([a-z ]+)\) \d\)")
_HELD_OUT = 1000


def dictionary(folder: Path) -> dict[str, tuple[str, ...]]:
    """Read the first pronunciation of each word, in an order drawn by the words' digests."""
    path = folder / "festival/usr/share/festival/dicts/cmu/cmudict-0.4.out"
    found: dict[str, tuple[str, ...]] = {}
    for word, syllables in _ENTRY.findall(path.read_text(encoding="utf-8")):
        phones = " ".join(_SYLLABLE.findall(syllables)).split()
        if phones:
            found.setdefault(word, tuple(phones))
    ordered = sorted(found, key=lambda word: hashlib.sha256(word.encode()).hexdigest())
    return {word: found[word] for word in ordered}


def figures(folder: Path) -> dict[str, Any]:
    """Learn from most of the dictionary, and guess the rest."""
    entries = list(dictionary(folder).items())
    begin = time.process_time()
    pronouncer = Pronouncer([(list(word), phones) for word, phones in entries[_HELD_OUT:]])
    learning = time.process_time() - begin
    errors = phones = right = 0
    for word, truth in entries[:_HELD_OUT]:
        guess = pronouncer.pronounce(list(word)) or ()
        errors += count_errors(word_alignment(truth, guess)).errors
        phones += len(truth)
        right += guess == truth
    return {
        "words_of_the_dictionary": len(entries) - _HELD_OUT,
        "words_guessed": _HELD_OUT,
        "words_right": round(right / _HELD_OUT, 4),
        "phone_errors": round(errors / phones, 4),
        "seconds_of_learning": round(learning, 1),
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("exp/boundaries"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    found = figures(given.folder)
    write_json(given.results, read_json(given.results) | {"guessed_pronunciations": found})
    print(found)


if __name__ == "__main__":
    main()
