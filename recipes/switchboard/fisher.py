"""Reads Fisher transcripts as text for the language model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from asr_hf.runtime.progress import progress

from .corpora import FISHER
from .text_files import numbered_lines

_TURN = re.compile(r"\d+(?:\.\d+)? \d+(?:\.\d+)? [AB]\d?:\s*(.*)")
# Sounds for which Switchboard's transcripts have a word.
_SOUNDS = {"[laugh]": "[laughter]", "[laughter]": "[laughter]", "[mn]": "[vocalized-noise]"}
_SPELLED = re.compile(r"(?<![a-z])(?:[a-z]\._?\s?)*[a-z]\.(?:'?s\b)?")


def fisher_sentences(folders: Sequence[Path]) -> Iterator[list[str]]:
    """Read the words of every turn, written as Switchboard's are.

    Yields:
        The words of a turn.

    Raises:
        InputError: a file cannot be read.
    """
    paths = [path for folder in folders for path in sorted(folder.glob(f"**/{FISHER}"))]
    for path in progress(paths, desc="Fisher transcripts", unit="file"):
        for _, line in numbered_lines(path, comment="#"):
            if (turn := _TURN.fullmatch(line)) and (words := fisher_words(turn[1])):
                yield words


def fisher_words(text: str) -> list[str]:
    """Rewrite the words of one turn as Switchboard's are written.

    Doubtful `((words))` count as certain; letters that are spelled, `t. v.` or `t._v.`, become one
    word; laughter is kept, and every other sound becomes `[noise]`.

    Returns:
        The words.
    """
    plain = re.sub(r"\(\(|\)\)", " ", text.lower())
    words: list[str] = []
    for token in _SPELLED.sub(_joined, plain).split():
        if token.startswith("["):
            token = _SOUNDS.get(token, "[noise]")
        if token != "-":
            words.append(token)
    return words


def _joined(match: re.Match[str]) -> str:
    """Write `t. v.` as `t._v.`."""
    spelled = re.findall(r"[a-z]\.", match[0])
    ending = re.search(r"\.('?s)$", match[0])
    return "._".join(letter[0] for letter in spelled) + "." + (ending[1] if ending else "")
